/** Mining under faults, in its threads too: the older set whole or the new one, and the same command ends with the same bytes. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ArtifactError } from '@sconelm/artifact';
import { describe, expect, it } from 'vitest';
import { forEveryCall, forPowerCuts, times } from '../../../../tools/faults/index.mjs';
import { openFgrams } from '../fgrams-files.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { mine } from './mine.js';

const sizes = [700, 300];
const shardOf = (folder: string, i: number) => path.join(folder, `shard-${i}`);

async function writeShards(folder: string, generation: number): Promise<void> {
  for (const [i, length] of sizes.entries()) {
    const tokens = Uint16Array.from({ length }, (_, at) => (at % 50 === 0 ? 0 : 1 + ((at * at + generation * at + i) % 19)));
    writeFileSync(shardOf(folder, i), tokens);
  }
}
const corpusIn = (folder: string): TokenCorpus => ({
  shards: sizes.map((tokens, i) => ({ path: shardOf(folder, i), tokens })),
  dtype: 'u16',
  blockBytes: 1024,
  vocabSize: 20,
  boundary: 0,
});
const write = (folder: string) =>
  mine(corpusIn(folder), {
    directory: path.join(folder, 'fgrams'),
    maxLength: 3,
    minCount: 2,
    maxFgrams: 1000,
    workers: 1,
    workBytes: 100_000,
  });

async function read(folder: string): Promise<unknown> {
  try {
    const set = await openFgrams(path.join(folder, 'fgrams'));
    return { hash: set.hash, first: [...set.tokensOf(0)], last: [...set.tokensOf(set.size - 1)] };
  } catch (error) {
    if (error instanceof ArtifactError && error.code === 'ARTIFACT_MISSING') return 'absent';
    throw error;
  }
}

describe('mining', () => {
  it('into a new folder survives calls failing', async () => {
    const tried = await forEveryCall<unknown>({ setUp: (folder) => writeShards(folder, 2), read, write }, { step: times(5, 1) });
    expect(tried.EIO).toBeGreaterThan(10);
  });
  it('in the place of an older set survives power cuts', async () => {
    const setUp = async (folder: string) => {
      await writeShards(folder, 1);
      await write(folder);
      await writeShards(folder, 2);
    };
    const seen = await forPowerCuts<unknown>({ setUp, read, write }, { cuts: times(40, 5000) });
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
