/** A prepared dataset: the tokenizer, and the tokens of each split on disk, every document opened by the boundary token. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readManifest, sha256, withArtifactErrors } from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import { type TokenCorpus, tokenBytes, tokenCountOf } from './corpus.js';
import { loadTokens, type TokenArray } from './read-tokens.js';
import type { Split } from './selection.js';
import { shardName } from './split-writer.js';

export interface TokenSplit {
  readonly corpus: TokenCorpus;
  readonly tokenCount: number;
  readonly documents: number;
  /** UTF-8 bytes of its text. */
  readonly bytes: number;
  /** All of its tokens in memory. @throws {MinerError} DATASET_CORRUPT */
  load(): Promise<TokenArray>;
}

export interface Dataset extends Readonly<Record<Split, TokenSplit>> {
  readonly tokenizer: Tokenizer;
  readonly tokenizerHash: string;
}

const amount = z.int().nonnegative();
/** Too long a list is refused before its items are looked at. */
const listOf = <Item extends z.ZodType>(item: Item, max: number) => z.array(z.unknown()).max(max).pipe(z.array(item));
const splitSchema = z.strictObject({
  tokens: amount,
  documents: amount,
  bytes: amount,
  shards: listOf(
    z.strictObject({
      tokens: amount,
      documents: amount,
      bytes: amount,
      blocks: z.array(amount.max(0xffffffff)),
    }),
    100_000,
  ),
});

/** dataset.json */
export const datasetForm = {
  kind: 'scone-dataset',
  version: 2,
  schema: z.strictObject({
    vocabSize: z.int().positive(),
    dtype: z.enum(['u16', 'u32']),
    boundary: amount,
    tokenizerHash: z.string(),
    blockBytes: z.int().positive().multipleOf(4),
    train: splitSchema,
    heldout: splitSchema,
    /** Equal to an earlier document, and left out. */
    duplicates: amount,
    /** Left out of training because it is held out. */
    heldoutInTraining: amount,
    /** What could not be read, and the first such places. */
    skipped: z.strictObject({
      count: amount,
      first: listOf(z.strictObject({ file: z.string(), offset: z.int(), code: z.string(), message: z.string() }), 1000),
    }),
  }),
};
export type DatasetManifest = z.output<typeof datasetForm.schema>;

/** @throws {MinerError | ArtifactError} missing, of another version, or corrupt; what the shards hold is checked when it is read */
export async function openDataset(directory: string): Promise<Dataset> {
  const manifest = await readManifest(path.join(directory, 'dataset.json'), datasetForm);
  const { dtype, vocabSize, boundary, blockBytes, tokenizerHash } = manifest;
  const tokenizerFile = path.join(directory, 'tokenizer.json');
  const json = await withArtifactErrors(tokenizerFile, () => readFile(tokenizerFile));
  if (sha256(json) !== tokenizerHash) throw corrupt(tokenizerFile, "its sha256 is not the manifest's");
  const openSplit = async (split: Split): Promise<TokenSplit> => {
    const { tokens: tokenCount, documents, bytes, shards } = manifest[split];
    const corpus: TokenCorpus = {
      dtype,
      vocabSize,
      boundary,
      blockBytes,
      shards: shards.map(({ documents: count, tokens, blocks }, i) => ({
        path: path.join(directory, shardName(split, i, 'bin')),
        documents: { path: path.join(directory, shardName(split, i, 'docs.jsonl.gz')), count },
        tokens,
        blocks,
      })),
    };
    if (tokenCountOf(corpus) !== tokenCount) throw corrupt(path.join(directory, 'dataset.json'), `the shards of ${split} do not add up`);
    for (const shard of corpus.shards) await expectSize(shard.path, shard.tokens * tokenBytes(dtype));
    return { corpus, tokenCount, documents, bytes, load: () => loadTokens(corpus) };
  };
  return {
    tokenizer: Tokenizer.parse(json.toString('utf8')),
    tokenizerHash,
    train: await openSplit('train'),
    heldout: await openSplit('heldout'),
  };
}

const corrupt = (file: string, what: string) => new MinerError('DATASET_CORRUPT', `${file}: ${what}`, 'Prepare the data again.');

async function expectSize(file: string, expected: number): Promise<void> {
  const { size } = await withArtifactErrors(file, () => stat(file));
  if (size !== expected) throw corrupt(file, `it has ${size} bytes, expected ${expected}`);
}
