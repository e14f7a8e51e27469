/** Preparing and reading a dataset under faults: calls that fail, power cuts, damaged, hostile and replaced files. */
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { publishDirectory, sha256, writeManifest } from '@sconelm/artifact';
import { afterAll, describe, expect, test } from 'vitest';
import {
  flawOf,
  forDamage,
  forEveryCall,
  forEveryCallOfReader,
  forHostileJson,
  forPowerCuts,
  inFolder,
  randomFrom,
  runSeed,
  times,
} from '../../../../tools/faults/index.mjs';
import { listInputs } from '../documents/input-file.js';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import { trainTokenizer } from '../tokenizer/train.js';
import { datasetForm, openDataset } from './dataset.js';
import { encodeUnit } from './encode-unit.js';
import { partExists, partPath, readPart } from './part.js';
import { prepareDataset } from './prepare.js';
import { readShardDocuments } from './split-writer.js';
import { unitsOf } from './units.js';

const inputs = mkdtempSync(path.join(tmpdir(), 'miner inputs '));
afterAll(() => rmSync(inputs, { recursive: true }));
const TEXT = 'the people of the United States, the fiscal year; it’s the people’s year. ';
const json = trainTokenizer([TEXT.repeat(20)], { vocabSize: 270 });
const fileOf = (generation: number) => path.join(inputs, `${generation}.jsonl`);
for (const generation of [1, 2]) {
  const texts = Array.from({ length: 40 }, (_, i) => ({ text: `${TEXT.slice(i)}${generation}`, id: `${i}` }));
  writeFileSync(fileOf(generation), texts.map((text) => `${JSON.stringify(text)}\n`).join(''));
}

const options = { tokenizer: json, workers: 1, unitBytes: 2000, shardTokens: 300 };
const prepare = (folder: string, generation: number, name = 'data') =>
  prepareDataset({ ...options, directory: path.join(folder, name), train: [fileOf(generation)] });

async function read(folder: string, name = 'data') {
  const { train, heldout } = await openDataset(path.join(folder, name));
  const ids: unknown[] = [];
  for (const { documents } of train.corpus.shards) for await (const { id } of readShardDocuments(documents!)) ids.push(id);
  return { train: [...(await train.load())], heldout: [...(await heldout.load())], ids };
}
const readOrAbsent = (folder: string) =>
  read(folder).catch((error: { code?: string }) => {
    if (error.code === 'ARTIFACT_MISSING') return 'absent';
    throw error;
  });

const settingsIn = (folder: string) => ({
  directory: path.join(folder, '.data.preparing'),
  tokenizerHash: sha256(JSON.stringify(json)),
  dtype: 'u16' as const,
  textField: 'text',
  onBadInput: 'stop' as const,
});

/** The parts that threads would have made. */
async function encodeParts(folder: string, generation: number): Promise<void> {
  for (const unit of unitsOf(await listInputs([fileOf(generation)]), 'train', options.unitBytes))
    await encodeUnit(unit, Tokenizer.parse(json), settingsIn(folder), () => {});
}

const writers = {
  'a new dataset': { write: (folder: string) => prepare(folder, 1) },
  'a dataset in the place of an older one': {
    setUp: (folder: string) => prepare(folder, 1),
    write: (folder: string) => prepare(folder, 2),
  },
};

describe.each(Object.entries(writers))('%s', (_name, writer) => {
  test('survives calls failing', async () => {
    const tried = await forEveryCall<unknown>({ ...writer, read: readOrAbsent }, { step: times(24, 1) });
    expect(tried.EIO).toBeGreaterThan(5);
  });
});

test('survives power cuts, once its parts are there', async () => {
  const setUp = async (folder: string) => {
    await prepare(folder, 1);
    await encodeParts(folder, 2);
  };
  const seen = await forPowerCuts<unknown>({ setUp, write: (folder: string) => prepare(folder, 2), read }, { cuts: times(25, 5000) });
  expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
});

test('a part survives power cuts', async () => {
  const [unit] = unitsOf(await listInputs([fileOf(1)]), 'train', 2 ** 25);
  const readUnit = async (folder: string) => {
    const part = partPath(unit, settingsIn(folder));
    if (!partExists(part)) return 'absent';
    const found: unknown[] = [];
    const onDocument = async (record: unknown) => {
      found.push(record);
      return async (bytes: Uint8Array) => void found.push([...bytes]);
    };
    await readPart(part, 2, { onDocument, onSkipped: () => {} });
    return found;
  };
  const write = (folder: string) => encodeUnit(unit, Tokenizer.parse(json), settingsIn(folder), () => {});
  const seen = await forPowerCuts<unknown>({ write, read: readUnit }, { cuts: times(100, 5000) });
  expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
});

test('every call of a reader failing', async () => {
  const tried = await forEveryCallOfReader((folder) => prepare(folder, 2), read);
  expect(tried.EIO).toBeGreaterThan(5);
});

test('damage to a dataset’s files is refused', () =>
  inFolder(async (folder) => {
    await prepare(folder, 1, 'older');
    await prepare(folder, 2);
    const { train } = await openDataset(path.join(folder, 'data'));
    const documents = async () => {
      const found: unknown[] = [];
      for await (const { start } of readShardDocuments(train.corpus.shards[1].documents!)) found.push(start);
      return found;
    };
    const readers: Record<string, () => Promise<unknown>> = {
      'dataset.json': () => read(folder),
      'tokenizer.json': () => read(folder),
      'train-00001.bin': () => train.load(),
      'train-00001.docs.jsonl.gz': documents,
    };
    for (const [name, readFiles] of Object.entries(readers)) {
      const older = { file: path.join(folder, 'older', name), blocks: times(50, 1000) };
      const bits = times(name.endsWith('.bin') ? 1000 : 200, 20_000);
      const seen = await forDamage(path.join(folder, 'data', name), readFiles, {
        bits,
        truncations: times(50, 2000),
        blockBytes: 64,
        older,
      });
      // Bits of gzip’s header say nothing to a reader, and a byte more is found when the dataset is opened.
      expect(seen.right, name).toBeLessThan(name.endsWith('.gz') ? 50 : name.endsWith('.bin') ? 2 : 1);
      expect(seen.refused, name).toBeGreaterThan(100);
    }
  }));

test('hostile manifests are refused or understood, whatever their checksum says', () =>
  inFolder(async (folder) => {
    await prepare(folder, 2);
    const file = path.join(folder, 'data/dataset.json');
    const { kind: _, version: __, checksum: ___, ...body } = JSON.parse(readFileSync(file, 'utf8'));
    const use = async (text: string) => {
      const fields = asObject(text);
      if (fields === undefined) writeFileSync(file, text);
      else await writeManifest(file, { ...fields, kind: datasetForm.kind, version: datasetForm.version });
      await read(folder);
    };
    const seen = await forHostileJson(body, use, { runs: times(200, 2_000_000) });
    expect(seen.refused).toBeGreaterThan(300);
  }));

/** What a text says if it is an object of JSON: it then gets a right checksum. */
function asObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    JSON.stringify(value); // fails where it is too deep
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

test('a dataset that is replaced, cut short or taken away while open gives its old tokens or a typed error', async () => {
  const made = mkdtempSync(path.join(inputs, 'made '));
  await prepare(made, 2, 'old');
  await prepare(made, 1, 'new');
  for (let round = 0; round < times(50, 1000); round++) {
    const random = randomFrom(runSeed + round);
    await inFolder(async (folder) => {
      const directory = path.join(folder, 'data');
      cpSync(path.join(made, 'old'), directory, { recursive: true });
      const { train } = await openDataset(directory);
      const right = await train.load();
      const shard = path.join(directory, 'train-00001.bin');
      const kind = random.below(4);
      if (kind === 0) await publishDirectory(directory, async (aside) => cpSync(path.join(made, 'new'), aside, { recursive: true }));
      else if (kind === 1) truncateSync(shard, random.below(600));
      else if (kind === 2) renameSync(directory, path.join(folder, 'moved'));
      else cpSync(path.join(made, 'new/train-00001.bin'), shard);
      const outcome = await train.load().catch((error: unknown) => ({ error }));
      if ('error' in outcome) expect(flawOf(outcome.error), `seed ${runSeed + round}`).toBeUndefined();
      else expect(outcome, `seed ${runSeed + round}`).toEqual(right);
    });
  }
});
