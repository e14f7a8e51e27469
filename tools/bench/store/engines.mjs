/** The stores that are compared: each is built once in a folder, then opened and asked for rows by id. */
import { closeSync, fdatasyncSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { createStore, openStore } from '@sconelm/offload-store';
import { BATCHES, bytesOf, eachChunk } from './data.mjs';

/**
 * @typedef {object} Form
 * @property {number} rowBytes
 * @property {number} rows
 */
/**
 * @typedef {object} Opened
 * @property {(ids: Uint32Array, into: Float32Array) => unknown} read [n] ids into [n, width]; a promise where it does not answer at once
 * @property {() => unknown} close
 */
/**
 * @typedef {object} Engine
 * @property {string} name
 * @property {(folder: string, form: Form) => Promise<void>} build
 * @property {(folder: string, form: Form) => Promise<Opened>} open
 * @property {(folder: string) => string[]} files what it takes on the disk
 * @property {boolean} [inMemory] there is no cold start
 * @property {string} [folder] of another engine, whose files it opens
 */

const LARGEST_BATCH = Math.max(...BATCHES);

/** @param {string} url @param {Form} form */
export async function fill(url, form) {
  const description = {
    rows: form.rows,
    width: form.rowBytes / 4,
    dtype: /** @type {const} */ ('f32'),
    binding: { fgrams: 'bench', model: 'bench' },
  };
  const writer = await createStore(url, description);
  // The next rows are made while the last are written.
  /** @type {Promise<void> | undefined} */
  let last;
  await eachChunk(form, async (ids, rows) => {
    const before = last;
    last = writer.write(ids, rows);
    await before;
  });
  await last;
  await writer.publish();
  await writer.close();
}

/** @param {string} name @param {number} hotShare @returns {Engine} */
const fileEngine = (name, hotShare) => ({
  name,
  folder: 'file',
  build: (folder, form) => fill(`file:${path.join(folder, 'store')}`, form),
  async open(folder, { rows }) {
    const store = await openStore(`file:${path.join(folder, 'store')}`, { hotRows: rows * hotShare });
    await store.warmed;
    return store;
  },
  files: (folder) => ['rows-00000.bin', 'checksums.bin', 'manifest.json'].map((file) => path.join(folder, 'store', file)),
});

/** @type {Engine} */
const memory = {
  name: 'memory',
  inMemory: true,
  build: async () => {},
  async open(folder, form) {
    await fill(`memory:${folder}`, form);
    return openStore(`memory:${folder}`);
  },
  files: () => [],
};

/** @type {Engine} */
const pread = {
  name: 'pread',
  build: async (folder, form) => {
    const file = openSync(path.join(folder, 'rows'), 'w');
    await eachChunk(form, (_, rows) => {
      writeSync(file, bytesOf(rows));
      fdatasyncSync(file);
    });
    closeSync(file);
  },
  async open(folder, { rowBytes }) {
    const file = openSync(path.join(folder, 'rows'), 'r');
    return {
      read(ids, into) {
        const bytes = bytesOf(into);
        for (let i = 0; i < ids.length; i++) readSync(file, bytes, i * rowBytes, rowBytes, ids[i] * rowBytes);
      },
      close: () => closeSync(file),
    };
  },
  files: (folder) => [path.join(folder, 'rows')],
};

/** The same file by eight threads, each with one read on its way: what a disk gives to plain reads. @type {Engine} */
const pread8 = {
  ...pread,
  name: 'pread-8',
  folder: 'pread',
  async open(folder, { rowBytes }) {
    const file = openSync(path.join(folder, 'rows'), 'r');
    const ids = new Uint32Array(new SharedArrayBuffer(4 * LARGEST_BATCH));
    const rows = new Uint8Array(new SharedArrayBuffer(LARGEST_BATCH * rowBytes));
    const next = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { file, rowBytes, ids, rows, next };
    const threads = Array.from({ length: 8 }, () => new Worker(new URL('pread-thread.mjs', import.meta.url), { workerData }));
    const eachOf = (/** @type {'online' | 'message'} */ event) =>
      Promise.all(threads.map((thread) => new Promise((resolve) => thread.once(event, resolve))));
    await eachOf('online');
    return {
      async read(wanted, into) {
        ids.set(wanted);
        Atomics.store(next, 0, 0);
        const done = eachOf('message');
        for (const thread of threads) thread.postMessage(wanted.length);
        await done;
        bytesOf(into).set(rows.subarray(0, wanted.length * rowBytes));
      },
      async close() {
        await Promise.all(threads.map((thread) => thread.terminate()));
        closeSync(file);
      },
    };
  },
};

/** Copies of rows that lie in memory: what no store can be faster than. @type {Engine} */
const memcpy = {
  name: 'memcpy',
  inMemory: true,
  build: async () => {},
  async open(_, form) {
    const all = new Uint8Array(form.rows * form.rowBytes);
    let at = 0;
    await eachChunk(form, (_ids, rows) => {
      all.set(bytesOf(rows), at);
      at += rows.byteLength;
    });
    return {
      read(ids, into) {
        const bytes = bytesOf(into);
        for (let i = 0; i < ids.length; i++)
          bytes.set(all.subarray(ids[i] * form.rowBytes, (ids[i] + 1) * form.rowBytes), i * form.rowBytes);
      },
      close: () => {},
    };
  },
  files: () => [],
};

export const OWN = ['file', 'file-hot10', 'memory'];
/** Loaded late: they are installed when a bench runs. @type {readonly Engine[]} */
const peers = (await import(new URL('../peers/stores.mjs', import.meta.url).href)).stores;
export const ENGINES = [fileEngine('file', 0), fileEngine('file-hot10', 0.1), memory, ...peers, pread, pread8, memcpy];

/** Bytes of files and folders. @param {readonly string[]} files */
export function sizeOf(files) {
  let bytes = 0;
  for (const file of files) {
    const stat = statSync(file);
    bytes += stat.isDirectory() ? sizeOf(readdirSync(file).map((name) => path.join(file, name))) : stat.size;
  }
  return bytes;
}

/** The engine's folder for rows of this form, made and empty. @param {string} scratch @param {Engine} engine @param {Form} form */
export function folderOf(scratch, { folder, name }, { rowBytes }) {
  return path.join(scratch, `${folder ?? name}-${rowBytes}`);
}

/** @param {string} folder */
export function empty(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}
