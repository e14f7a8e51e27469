/** `memory:NAME`: rows in this process's memory, under a name. For tests and for small sets that need not outlive the process. */
import { defineBackend } from '../backend.js';
import { StoreError, StoreMismatchError } from '../errors.js';
import { differenceOf, type StoreDescription, type StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { runLength } from '../row-order.js';
import { RowSet } from '../row-set.js';

interface Unfinished {
  readonly description: StoreDescription;
  readonly bytes: Uint8Array;
  readonly written: RowSet;
}

const published = new Map<string, { manifest: StoreManifest; bytes: Uint8Array }>();
const unfinished = new Map<string, Unfinished>();
const writers = new Set<string>();

export const memoryBackend = defineBackend({
  scheme: 'memory',

  async openReader(name) {
    const store = published.get(name);
    if (store === undefined) {
      throw new StoreError('STORE_MISSING', `memory:${name} does not exist in this process`, 'Create and publish it first.');
    }
    const { manifest, bytes } = store;
    return {
      manifest,
      readRows: (ids, into) => copyRows(bytes, manifest.rowBytes, ids, into),
      close: async () => {},
    };
  },

  async openSink(name, description, { restart }) {
    expectNoWriter(name);
    if (restart) unfinished.delete(name);
    const found = unfinished.get(name);
    const difference = found && differenceOf(found.description, description);
    if (difference !== undefined) {
      const remedy = 'Create it with restart: true to throw the unfinished one away.';
      throw new StoreMismatchError(`an unfinished memory:${name} has ${difference}`, remedy);
    }
    const rowBytes = rowBytesOf(description.dtype, description.width);
    const store = found ?? { description, bytes: new Uint8Array(description.rows * rowBytes), written: new RowSet(description.rows) };
    const { bytes, written } = store;
    unfinished.set(name, store);
    writers.add(name);
    return {
      written,
      writeRows(ids, rows) {
        for (let i = 0; i < ids.length; i += 1) {
          bytes.set(rows.subarray(i * rowBytes, (i + 1) * rowBytes), ids[i]! * rowBytes);
          written.add(ids[i]!);
        }
      },
      readRows: (ids, into) => copyRows(bytes, rowBytes, ids, into),
      async publish(manifest) {
        published.set(name, { manifest, bytes });
        unfinished.delete(name);
      },
      async close() {
        writers.delete(name);
      },
    };
  },

  async remove(name) {
    expectNoWriter(name);
    published.delete(name);
    unfinished.delete(name);
  },
});

function expectNoWriter(name: string): void {
  if (!writers.has(name)) return;
  throw new StoreError('STORE_LOCKED', `memory:${name} has a writer already`, 'Close that writer first.');
}

function copyRows(bytes: Uint8Array, rowBytes: number, ids: Uint32Array, into: Uint8Array): void {
  for (let start = 0; start < ids.length; ) {
    const count = runLength(ids, start);
    into.set(bytes.subarray(ids[start]! * rowBytes, (ids[start]! + count) * rowBytes), start * rowBytes);
    start += count;
  }
}
