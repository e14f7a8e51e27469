/** Token shards that another program wrote: bare u16 or u32 numbers, as nanoGPT's. */
import { stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { defaultBlockBytes, withArtifactErrors } from '@sconelm/artifact';
import { MinerError } from '../errors.js';
import { type TokenCorpus, type TokenShard, tokenBytes } from './corpus.js';
import { readTokens } from './read-tokens.js';

export interface OpenShardsOptions {
  /** Little-endian numbers without a header. */
  readonly files: readonly string[];
  readonly dtype: TokenCorpus['dtype'];
  readonly vocabSize: number;
  /** The token that opens a document (a file of documents that end with it is the same, but for its first one). */
  readonly boundary: number;
}

/**
 * Reads every file once: no token may lie outside the vocabulary, and what is read later is held against what was read now.
 * @throws {MinerError} SHARDS_INVALID, naming file and byte; {ArtifactError} missing, or an error of the disk
 */
export async function openShards({ files, dtype, vocabSize, boundary }: OpenShardsOptions): Promise<TokenCorpus> {
  const width = tokenBytes(dtype);
  const invalid = (what: string, remedy: string) => new MinerError('SHARDS_INVALID', what, remedy);
  if (files.length === 0) throw invalid('there are no shards', 'Give at least one file of tokens.');
  if (!Number.isInteger(vocabSize) || vocabSize < 1 || vocabSize > 2 ** (8 * width))
    throw invalid(`${dtype} cannot hold a vocabulary of ${vocabSize}`, 'Give the vocabulary of the tokenizer, and u32 above 65,536.');
  if (!Number.isInteger(boundary) || boundary < 0 || boundary >= vocabSize)
    throw invalid(`the boundary ${boundary} is not a token of ${vocabSize}`, 'Give the id of the token that opens documents.');
  const form = { dtype, blockBytes: defaultBlockBytes, vocabSize, boundary };
  const shards: TokenShard[] = [];
  for (const path of files) {
    const { size } = await withArtifactErrors(path, () => stat(path));
    if (size % width !== 0)
      throw invalid(`${path}: ${size} bytes are no whole number of ${dtype} tokens`, 'Give the dtype that the file was written with.');
    const shard = { path, tokens: size / width };
    const blocks: number[] = [];
    let at = 0;
    for await (const tokens of readTokens({ ...form, shards: [shard] })) {
      const wrong = tokens.findIndex((token: number) => token >= vocabSize);
      if (wrong >= 0) {
        const what = `${path}, byte ${(at + wrong) * width}: token ${tokens[wrong]} is not below ${vocabSize}`;
        throw invalid(what, 'Give the vocabulary, dtype and tokenizer that the file was written with.');
      }
      blocks.push(crc32(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength)));
      at += tokens.length;
    }
    shards.push({ ...shard, blocks });
  }
  return { ...form, shards };
}
