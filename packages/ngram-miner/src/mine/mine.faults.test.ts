/** Mining under faults, in its threads too: the older set whole or the new one, and the same command ends with the same bytes. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ArtifactError } from '@sconelm/artifact';
import { describe, expect, it } from 'vitest';
import { forEveryCall, forPowerCuts, times } from '../../../../tools/faults/index.mjs';
import { openFgrams } from '../fgrams-files.js';
import { FgramSources } from '../sources/fgram-sources.js';
import { mineSources } from '../sources/mine-sources.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { mergeParts, mine, minePart } from './mine.js';

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
const counting = { maxLength: 3, minCount: 2, workers: 1, workBytes: 100_000 };
const setIn = (folder: string) => ({ directory: path.join(folder, 'fgrams'), maxFgrams: 1000 });
const write = (folder: string) => mine(corpusIn(folder), { ...counting, ...setIn(folder) });

/** Two machines and a third that puts their parts together. */
async function writeInParts(folder: string): Promise<void> {
  const folders = [1, 2].map((part) => path.join(folder, `part-${part}`));
  for (const [i, directory] of folders.entries()) await minePart(corpusIn(folder), { ...counting, part: i + 1, parts: 2, directory });
  await mergeParts(folders, setIn(folder));
}

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
  it('in parts survives calls failing', async () => {
    const tried = await forEveryCall<unknown>(
      { setUp: (folder) => writeShards(folder, 2), read, write: writeInParts },
      { step: times(25, 1) },
    );
    expect(tried.EIO).toBeGreaterThan(3);
  });
  it('in parts survives power cuts', async () => {
    const setUp = async (folder: string) => {
      await writeShards(folder, 1);
      await writeInParts(folder);
      await writeShards(folder, 2);
    };
    const seen = await forPowerCuts<unknown>({ setUp, read, write: writeInParts }, { cuts: times(20, 5000) });
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});

describe('sources', () => {
  const setUp = async (folder: string) => {
    await writeShards(folder, 1);
    await write(folder);
  };
  const writeSources = async (folder: string) =>
    mineSources(await openFgrams(setIn(folder).directory), corpusIn(folder), { perFgram: 2, directory: setIn(folder).directory });
  const readSources = async (folder: string) => {
    const set = await openFgrams(setIn(folder).directory);
    try {
      await using sources = await FgramSources.open(setIn(folder).directory, set);
      const found: unknown[] = [];
      for (let id = 0; id < set.size; id++) found.push(await sources.of(id));
      return found;
    } catch (error) {
      if (error instanceof ArtifactError && error.code === 'ARTIFACT_MISSING') return 'absent';
      throw error;
    }
  };
  it('survive calls failing and power cuts', async () => {
    const writer = { setUp, write: writeSources, read: readSources };
    const tried = await forEveryCall<unknown>(writer, { step: times(4, 1) });
    expect(tried.EIO).toBeGreaterThan(3);
    const seen = await forPowerCuts<unknown>(writer, { cuts: times(100, 5000) });
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
