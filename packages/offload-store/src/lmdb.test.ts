/** The lmdb: backend: the conformance cases; files that were damaged, cut short or replaced. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadLmdb } from './backends/lmdb-environment.js';
import { backendCases } from './conformance/index.js';
import { createStore, deleteStore, openStore } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-lmdb-'));
afterAll(() => rmSync(folder, { recursive: true }));
let next = 0;
const freshUrl = () => `lmdb:${join(folder, `store ${next++}`)}`;
const pathOf = (url: string, name: string) => join(url.slice('lmdb:'.length), name);
const binding = { fgrams: 'set', model: 'model' };
const description = { rows: 200, width: 16, dtype: 'f32' as const, binding };
const rowOf = (id: number, generation = 0) => Float32Array.from({ length: 16 }, (_, column) => id * 100 + column + generation / 2);
const all = Uint32Array.from({ length: 200 }, (_, id) => id);
const rowsOf = (ids: Uint32Array, generation = 0) => Float32Array.from([...ids].flatMap((id) => [...rowOf(id, generation)]));

async function fill(url: string, generation = 0): Promise<void> {
  await using writer = await createStore(url, description);
  await writer.write(all, rowsOf(all, generation));
  await writer.publish();
}

describe('the conformance cases', () => {
  for (const { name, run } of backendCases({ freshUrl, module: 'node:process' })) it(name, run);
});

it('answers without a promise', async () => {
  const url = freshUrl();
  await fill(url);
  await using store = await openStore(url);
  const into = new Float32Array(16);
  expect(store.read(Uint32Array.of(7), into)).toBe(undefined);
  expect(into).toEqual(rowOf(7));
});

it('several writers fill disjoint ranges at once', async () => {
  const url = freshUrl();
  const write = async (from: number, to: number) => {
    await using writer = await createStore(url, description, { range: { from, to } });
    for (let id = from; id < to; id += 1) await writer.write(Uint32Array.of(id), rowOf(id));
  };
  await Promise.all([write(0, 50), write(50, 120), write(120, 200)]);
  await using writer = await createStore(url, description);
  await writer.publish();
  await using store = await openStore(url);
  const into = new Float32Array(200 * 16);
  await store.read(all, into);
  expect(into).toEqual(rowsOf(all));
});

describe('a file that is not what was published', () => {
  const damages: Record<string, (path: string) => void> = {
    empty: (path) => truncateSync(path, 0),
    'cut short': (path) => truncateSync(path, 9000),
    longer: (path) => appendFileSync(path, 'x'),
    'of other bytes': (path) => writeFileSync(path, readFileSync(path).fill(7)),
    'with another beginning': (path) => {
      const bytes = readFileSync(path);
      bytes[100] ^= 1;
      writeFileSync(path, bytes);
    },
    missing: (path) => rmSync(path),
  };
  it.each(Object.entries(damages))('is refused when it is opened: %s', async (_, damage) => {
    const url = freshUrl();
    await fill(url);
    damage(pathOf(url, 'rows.mdb'));
    await expect(openStore(url)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  it.each(Object.entries(damages).filter(([name]) => name !== 'missing'))('is refused under a reader: %s', async (_, damage) => {
    const url = freshUrl();
    await fill(url);
    await using store = await openStore(url);
    await store.read(all, new Float32Array(200 * 16));
    damage(pathOf(url, 'rows.mdb'));
    expect(() => store.read(all, new Float32Array(200 * 16))).toThrow(/was changed while it was open/);
  });
});

it('a reader keeps its rows while stores are published in their place and deleted', async () => {
  const url = freshUrl();
  await fill(url);
  const old = await openStore(url);
  for (let generation = 1; generation <= 5; generation += 1) {
    await fill(url, generation);
    await using store = await openStore(url);
    const into = new Float32Array(200 * 16);
    await store.read(all, into);
    expect(into).toEqual(rowsOf(all, generation));
    await old.read(all, into);
    expect(into).toEqual(rowsOf(all));
  }
  await deleteStore(url);
  const into = new Float32Array(16);
  await old.read(Uint32Array.of(3), into);
  expect(into).toEqual(rowOf(3));
  await old.close();
  await expect(openStore(url)).rejects.toMatchObject({ code: 'STORE_MISSING' });
});

it('lmdb: and file: stores know each other apart', async () => {
  const url = freshUrl();
  await fill(url);
  await expect(openStore(url.replace('lmdb:', 'file:'))).rejects.toMatchObject({ code: 'STORE_KIND' });
  await using writer = await createStore(url, description);
  await expect(createStore(url.replace('lmdb:', 'file:'), description)).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  await writer.close();
  await expect(createStore(url.replace('lmdb:', 'file:'), description)).rejects.toMatchObject({ code: 'STORE_KIND' });
});

it('says what to install where the package is missing', async () => {
  const missing = loadLmdb(() => Promise.reject(new Error("Cannot find package 'lmdb'")));
  await expect(missing).rejects.toMatchObject({ code: 'STORE_PACKAGE_MISSING', remedy: 'Run: npm install lmdb' });
});
