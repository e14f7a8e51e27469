/** Puts parts together in the order of the input: shards, tokenizer.json and, last, dataset.json. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { defaultBlockBytes, publishBytes, sha256, withArtifactErrors, writeManifest } from '@sconelm/artifact';
import { MinerError } from '../errors.js';
import { type TokenCorpus, tokenBytes } from './corpus.js';
import { type DatasetManifest, datasetForm } from './dataset.js';
import { readPart, type Skipped } from './part.js';
import { Selection, type Split } from './selection.js';
import { type ShardEntry, SplitWriter } from './split-writer.js';

export interface ReadyPart {
  readonly part: string;
  readonly split: Split;
  /** Fulfilled once the part is there; absent if it is. */
  readonly ready: Promise<void> | undefined;
}

export interface AssembleOptions extends Pick<TokenCorpus, 'vocabSize' | 'boundary' | 'dtype'> {
  /** A folder that is made anew. */
  readonly into: string;
  /** tokenizer.json */
  readonly json: string;
  readonly heldoutShare: number;
  readonly shardTokens: number;
  readonly signal?: AbortSignal;
}

/** Places that are named in dataset.json. */
const MAX_NAMED = 100;

/** @throws {MinerError} TEXT_EMPTY if there is nothing to train on; {ArtifactError} */
export async function assemble(parts: readonly ReadyPart[], options: AssembleOptions): Promise<DatasetManifest> {
  const { into, json, heldoutShare, shardTokens, signal, ...form } = options;
  return withArtifactErrors(into, async () => {
    await rm(into, { recursive: true, force: true });
    await mkdir(into, { recursive: true });
    const selection = new Selection(heldoutShare);
    const skipped: { count: number; first: Skipped[] } = { count: 0, first: [] };
    await using train = new SplitWriter(into, 'train', shardTokens);
    await using heldout = new SplitWriter(into, 'heldout', shardTokens);
    const writers = { train, heldout };
    for (const { part, split, ready } of parts) {
      await ready;
      signal?.throwIfAborted();
      await readPart(part, tokenBytes(form.dtype), {
        onDocument: async (record) => {
          const place = selection.place(record.digest, split);
          return place === undefined ? undefined : await writers[place].begin(record);
        },
        onSkipped: (fault) => {
          skipped.count++;
          if (skipped.first.length < MAX_NAMED) skipped.first.push(fault);
        },
      });
    }
    const manifest: DatasetManifest = {
      ...form,
      tokenizerHash: sha256(json),
      blockBytes: defaultBlockBytes,
      train: splitOf(await train.end()),
      heldout: splitOf(await heldout.end()),
      duplicates: selection.duplicates,
      heldoutInTraining: selection.heldoutInTraining,
      skipped,
    };
    if (manifest.train.documents === 0) throw new MinerError('TEXT_EMPTY', 'there is no text to train on', 'Give files with text.');
    await publishBytes(path.join(into, 'tokenizer.json'), json);
    await writeManifest(path.join(into, 'dataset.json'), { kind: datasetForm.kind, version: datasetForm.version, ...manifest });
    return manifest;
  });
}

function splitOf(shards: readonly ShardEntry[]): DatasetManifest['train'] {
  const sum = (field: 'tokens' | 'documents' | 'bytes') => shards.reduce((total, shard) => total + shard[field], 0);
  return {
    tokens: sum('tokens'),
    documents: sum('documents'),
    bytes: sum('bytes'),
    shards: shards.map((shard) => ({ ...shard, blocks: [...shard.blocks] })),
  };
}
