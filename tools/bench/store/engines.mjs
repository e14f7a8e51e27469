/** The stores that are compared: each is built once in a folder, then opened and asked for rows by id. */
import { closeSync, fdatasyncSync, mkdirSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { createStore, openStore } from '@sconelm/offload-store';
import { bytesOf, eachChunk } from './data.mjs';

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

/** @param {string} url @param {Form} form */
export async function fill(url, form) {
  const description = {
    rows: form.rows,
    width: form.rowBytes / 4,
    dtype: /** @type {const} */ ('f32'),
    binding: { fgrams: 'bench', model: 'bench' },
  };
  const writer = await createStore(url, description);
  await eachChunk(form, (ids, rows) => writer.write(ids, rows));
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
export const ENGINES = [fileEngine('file', 0), fileEngine('file-hot10', 0.1), memory, ...peers, pread, memcpy];

/** Bytes of files and folders. @param {readonly string[]} files */
export function sizeOf(files) {
  let bytes = 0;
  for (const file of files) {
    const stat = statSync(file);
    bytes += stat.isDirectory()
      ? sizeOf(
          require('node:fs')
            .readdirSync(file)
            .map((/** @type {string} */ name) => path.join(file, name)),
        )
      : stat.size;
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
