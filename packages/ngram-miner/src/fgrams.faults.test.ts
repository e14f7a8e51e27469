/** F-gram sets under faults: published with every call failing and power cuts, read damaged and hostile. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArtifactError, sha256, writeManifest } from '@sconelm/artifact';
import { describe, expect, test } from 'vitest';
import {
  forDamage,
  forEveryCall,
  forEveryCallOfReader,
  forHostileJson,
  forPowerCuts,
  inFolder,
  objectIn,
  randomFrom,
  runSeed,
  times,
  underCaps,
} from '../../../tools/faults/index.mjs';
import { encodeFgramSet, FgramSet, type RankedFgrams } from './fgrams/index.js';
import { openFgrams, publishFgrams } from './index.js';

const vocabSize = 40;
/** Pairs of neighbouring tokens, and every second one with a third token. */
function rankedOf(generation: number): RankedFgrams {
  const pairs = Array.from({ length: 60 }, (_, i) => [(i * 7) % vocabSize, (i * i + 3 * i + generation) % vocabSize] as const);
  const unique = [...new Map(pairs.map((pair) => [pair.join(), pair])).values()];
  const triples = unique.flatMap((_, id) => (id % 2 === 0 ? [[vocabSize + id, (id * 5 + generation) % vocabSize] as const] : []));
  const all = [...unique, ...triples];
  return {
    size: all.length,
    maxLength: 3,
    vocabSize,
    boundary: 0,
    parents: Uint32Array.from(all, ([parent]) => parent),
    tokens: Uint32Array.from(all, ([, token]) => token),
    counts: Float64Array.from(all, (_, i) => 1000 - 3 * i),
  };
}
const folderIn = (folder: string) => join(folder, 'fgrams');
const publish = (folder: string, generation: number) => publishFgrams(folderIn(folder), rankedOf(generation), { minCount: 5 });

/** All that can be asked of a set. */
function contentOf(set: FgramSet): unknown {
  const ids = Array.from({ length: set.size }, (_, id) => id);
  const text = Int32Array.from({ length: 300 }, (_, i) => (i * i * 3 + i) % vocabSize);
  const matches = { ids: new Int32Array(text.length), lengths: new Uint8Array(text.length) };
  set.match(text, matches);
  return { grams: ids.map((id) => [...set.tokensOf(id)]), counts: ids.map((id) => set.countOf(id)), matches };
}
async function read(folder: string): Promise<unknown> {
  try {
    return contentOf(await openFgrams(folderIn(folder)));
  } catch (error) {
    if (error instanceof ArtifactError && error.code === 'ARTIFACT_MISSING') return 'absent';
    throw error;
  }
}

describe.each(
  Object.entries({
    'a new set': { read, write: (folder: string) => publish(folder, 1) },
    'a set in the place of an older one': {
      setUp: (folder: string) => publish(folder, 1),
      read,
      write: (folder: string) => publish(folder, 2),
    },
  }),
)('%s', (_name, writer) => {
  test('survives every call failing', async () => {
    const tried = await forEveryCall<unknown>(writer);
    expect(tried.EIO).toBeGreaterThan(10);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts<unknown>(writer);
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});

describe('a reader', () => {
  const readStrictly = async (folder: string) => contentOf(await openFgrams(folderIn(folder)));

  test('survives every call failing', async () => {
    const tried = await forEveryCallOfReader((folder) => publish(folder, 1), readStrictly);
    expect(tried.EIO).toBeGreaterThan(3);
  });
  test.each(['fgrams.bin', 'fgrams.json'])('overlooks no damage to %s', (name) =>
    inFolder(async (folder) => {
      const older = join(folder, 'older');
      await publishFgrams(older, rankedOf(2), { minCount: 5 });
      await publish(folder, 1);
      const seen = await forDamage(join(folderIn(folder), name), () => readStrictly(folder), {
        ...(name === 'fgrams.json' ? { bits: 'every' as const } : {}),
        blockBytes: 64,
        older: { file: join(older, name), blocks: times(50, 1000) },
      });
      expect(seen.right).toBe(0);
      expect(seen.refused).toBeGreaterThan(1100);
    }),
  );
  test('refuses or understands hostile manifests, whatever their checksum says', () =>
    inFolder(async (folder) => {
      await publish(folder, 1);
      const path = join(folderIn(folder), 'fgrams.json');
      const { kind, version, checksum: _, ...body } = JSON.parse(readFileSync(path, 'utf8'));
      const seen = await forHostileJson(body, async (text) => {
        const fields = objectIn(text);
        if (fields === undefined) writeFileSync(path, text);
        else await writeManifest(path, { ...fields, kind, version });
        contentOf(await openFgrams(folderIn(folder)));
      });
      expect(seen.refused).toBeGreaterThan(500);
    }));
  test('comes to an end in tables that are no tables', async () => {
    const { bytes, manifest } = encodeFgramSet(rankedOf(1), { minCount: 5 });
    await underCaps(times(2000, 2_000_000), async (index) => {
      const random = randomFrom(runSeed + index);
      const hostile = Uint8Array.from(bytes);
      for (let changes = 1 + random.below(200); changes > 0; changes -= 1) hostile[random.below(hostile.length)] = random.below(256);
      contentOf(new FgramSet(hostile, { ...manifest, hash: sha256(hostile) }));
    });
  });
});
