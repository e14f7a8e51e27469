/** Reads tokens block by block, each checked against its checksum where that is known. */
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { withArtifactErrors } from '@sconelm/artifact';
import { MinerError } from '../errors.js';
import { type TokenCorpus, type TokenShard, tokenBytes, tokenCountOf } from './corpus.js';

export type TokenArray = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A stretch of the corpus, in tokens over all its shards, one after the other. */
export interface TokenRange {
  readonly from?: number;
  readonly to?: number;
}

/**
 * Tokens of a range, in pieces of at most a block that end with their shard. Whole blocks are read, so everything that is given was checked.
 * @throws {MinerError} DATASET_CORRUPT, naming shard and block; {ArtifactError} missing, or an error of the disk
 */
export async function* readTokens(
  corpus: TokenCorpus,
  { from = 0, to = tokenCountOf(corpus) }: TokenRange = {},
): AsyncGenerator<TokenArray> {
  let start = 0;
  for (const shard of corpus.shards) {
    const [first, last] = [Math.max(0, from - start), Math.min(shard.tokens, to - start)];
    if (first < last) yield* readShard(corpus, shard, first, last);
    start += shard.tokens;
  }
}

async function* readShard({ dtype, blockBytes }: TokenCorpus, shard: TokenShard, first: number, last: number): AsyncGenerator<TokenArray> {
  const width = tokenBytes(dtype);
  const size = shard.tokens * width;
  const file = await withArtifactErrors(shard.path, () => open(shard.path));
  try {
    for (let at = first * width; at < last * width; ) {
      const block = Math.floor(at / blockBytes);
      const start = block * blockBytes;
      const bytes = await withArtifactErrors(shard.path, () => readBlock(file, start, Math.min(blockBytes, size - start)));
      expectBlock(shard, block, start, bytes, Math.min(blockBytes, size - start));
      const tokens: TokenArray = dtype === 'u16' ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
      const end = Math.min(start + bytes.length, last * width);
      yield tokens.subarray((at - start) / width, (end - start) / width);
      at = end;
    }
  } finally {
    await withArtifactErrors(shard.path, () => file.close());
  }
}

/** Up to `length` bytes; fewer where the file ends. */
async function readBlock(file: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) return bytes.slice(0, filled);
    filled += bytesRead;
  }
  return bytes;
}

/** @throws {MinerError} DATASET_CORRUPT: it is not as long as it should be, or has another checksum */
export function expectBlock({ path, blocks }: TokenShard, block: number, start: number, bytes: Uint8Array, length: number): void {
  const corrupt = (what: string) =>
    new MinerError('DATASET_CORRUPT', `${path}: block ${block} (from byte ${start}) ${what}`, 'Prepare the data again, or copy it again.');
  if (bytes.length !== length) throw corrupt(`ends after ${bytes.length} bytes, expected ${length}`);
  if (blocks === undefined) return;
  const sum = crc32(bytes);
  if (sum !== blocks[block]) throw corrupt(`has another checksum: expected ${blocks[block]}, got ${sum}`);
}

/** All tokens in memory, checked. @throws as `readTokens` */
export async function loadTokens(corpus: TokenCorpus): Promise<TokenArray> {
  const count = tokenCountOf(corpus);
  const tokens: TokenArray = corpus.dtype === 'u16' ? new Uint16Array(count) : new Uint32Array(count);
  let at = 0;
  for await (const piece of readTokens(corpus)) {
    tokens.set(piece, at);
    at += piece.length;
  }
  return tokens;
}
