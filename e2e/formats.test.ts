/**
 * Small artifacts as each version of their formats was written, kept in e2e/formats/KIND-VERSION. Those of a version that this program reads must
 * open and hold what expected.json says; those of others must be refused by name. A new version fails here until it is kept too:
 * `SCONE_RECORD=1 npx vitest run e2e/formats.test.ts`.
 */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { ArtifactError, sha256 } from '@sconelm/artifact';
import { fingerprint } from '@sconelm/decoder';
import { openModel } from '@sconelm/fgram-model';
import { openDataset, openFgrams } from '@sconelm/ngram-miner';
import { openStore, rowDtypes } from '@sconelm/offload-store';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../tools/setup/root.mjs';
import { commandsInFolder } from './command.js';
import { createTinyRun, TEXT } from './tiny-run.js';

const KEPT = path.join(ROOT, 'e2e/formats');
const { folder, command } = commandsInFolder();
let device: Device;

/** The manifest of each kind, and what of an artifact must stay the same. */
const KINDS: Readonly<Record<string, { readonly manifest: string; readonly read: (directory: string) => Promise<unknown> }>> = {
  'scone-dataset': {
    manifest: 'dataset.json',
    read: async (directory) => {
      const { train, tokenizer } = await openDataset(directory);
      return { tokens: Array.from((await train.load()).subarray(0, 20)), text: tokenizer.decode((await train.load()).subarray(1, 20)) };
    },
  },
  'scone-fgrams': {
    manifest: 'fgrams.json',
    read: async (directory) => {
      const set = await openFgrams(directory);
      const ids = Array.from({ length: set.size }, (_, id) => id);
      const found = ids.map((id) => set.idOf(set.tokensOf(id)));
      expect(found).toEqual(ids);
      return { fgrams: ids.slice(0, 20).map((id) => ({ tokens: Array.from(set.tokensOf(id)), count: set.countOf(id) })), size: set.size };
    },
  },
  'sconelm-store': {
    manifest: 'manifest.json',
    read: async (directory) => {
      await using store = await openStore(`file:${directory}`);
      await store.verify();
      const rows = new Float32Array(3 * store.width);
      await store.read(Uint32Array.of(0, 5, store.rows - 1), rows);
      return { dtype: store.dtype, rows: store.rows, sum: sha256(Buffer.from(rows.buffer)) };
    },
  },
  'scone-run': {
    manifest: 'config.json',
    read: async (directory) => {
      using model = await openModel(device, directory);
      return { config: model.config, fingerprint: await fingerprint(model.variables) };
    },
  },
};

/** `sconelm-store` of `sconelm-store-2-int8`. */
const kindOf = (name: string) => name.replace(/-\d.*$/, '');
const headOf = (directory: string, manifest: string) => JSON.parse(readFileSync(path.join(directory, manifest), 'utf8'));

/** Artifacts as this program writes them: by the name to keep them under. */
async function written(): Promise<Map<string, string>> {
  const run = path.join(folder, 'run');
  await createTinyRun(device, run, { width: 16, layers: 1 });
  writeFileSync(path.join(folder, 'text.txt'), TEXT);
  const prepared = await command('train', ['prepare', '--text', 'text.txt', '--train-tokenizer', '290']);
  expect(prepared).toMatchObject({ code: 0 });
  const folders = { 'scone-dataset': 'data', 'scone-fgrams': 'run/fgrams', 'scone-run': 'run' };
  const found = new Map<string, string>();
  const add = (kind: string, directory: string, suffix = '') => {
    const { kind: own, version } = headOf(directory, KINDS[kind]?.manifest ?? '');
    expect(own).toBe(kind);
    found.set(`${kind}-${version}${suffix}`, directory);
  };
  for (const [kind, place] of Object.entries(folders)) add(kind, path.join(folder, place));
  for (const dtype of rowDtypes) {
    const copy = ['store', 'copy', 'file:run/rows', `file:rows-${dtype}`, '--dtype', dtype];
    expect(await command('train', copy)).toMatchObject({ code: 0 });
    add('sconelm-store', path.join(folder, `rows-${dtype}`), `-${dtype}`);
  }
  return found;
}

beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

it('every format that this program writes is kept', async () => {
  for (const [name, directory] of await written()) {
    const target = path.join(KEPT, name);
    if (process.env.SCONE_RECORD === undefined || existsSync(target)) {
      expect(existsSync(target), `${name}: record it, see the head of this file`).toBe(true);
      continue;
    }
    // What is an artifact of its own is kept by itself.
    cpSync(directory, target, {
      recursive: true,
      filter: (file) => kindOf(name) !== 'scone-run' || !/^(fgrams|rows)$/.test(path.basename(file)),
    });
    const { read } = KINDS[kindOf(name)] ?? expect.fail(name);
    writeFileSync(path.join(target, 'expected.json'), `${JSON.stringify(await read(directory), null, 2)}\n`);
  }
});

describe.each(readdirSync(KEPT))('%s', (name) => {
  const directory = path.join(KEPT, name);
  const { manifest, read } = KINDS[kindOf(name)] ?? expect.fail(`${name} is of no known kind`);

  it('opens and holds what it held, or is refused by its version', async () => {
    const expected = JSON.parse(readFileSync(path.join(directory, 'expected.json'), 'utf8'));
    try {
      expect(await read(directory)).toEqual(expected);
    } catch (error) {
      if (!(error instanceof ArtifactError)) throw error;
      expect(error.code).toBe('ARTIFACT_VERSION');
      expect(error.remedy).toMatch(/again with this version/);
    }
  });

  it('is on the page of formats', () => {
    const { kind, version } = headOf(directory, manifest);
    const page = readFileSync(path.join(ROOT, 'docs/file-formats.md'), 'utf8');
    expect(page).toMatch(new RegExp(`\`${kind}\` +\\| ${version} `));
  });
});
