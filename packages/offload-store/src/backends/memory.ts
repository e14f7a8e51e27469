/** `memory:NAME`: rows in this process's memory, under a name. For tests and for small sets that need not outlive the process. */
import { defineBackend, type RowRange } from '../backend.js';
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

const published = new Map<string, { manifest: StoreManifest; bytes: Uint8Array; checksums: Uint32Array }>();
const unfinished = new Map<string, Unfinished>();
/** The ranges that are being written, by store. */
const writers = new Map<string, Set<RowRange>>();

export const memoryBackend = defineBackend({
  scheme: 'memory',

  async openReader(name) {
    const store = published.get(name);
    if (store === undefined) {
      throw new StoreError('STORE_MISSING', `memory:${name} does not exist in this process`, 'Create and publish it first.');
    }
    const { manifest, bytes, checksums } = store;
    return {
      manifest,
      readRows: (ids, into) => copyRows(bytes, manifest.rowBytes, ids, into),
      readChecksums: (first, into) => into.set(checksums.subarray(first, first + into.length)),
      close: async () => {},
    };
  },

  async openSink(name, description, { restart, range }) {
    expectNoWriter(name, restart ? undefined : range);
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
    const own = writers.get(name) ?? new Set();
    writers.set(name, own.add(range));
    return {
      written,
      writeRows(ids, rows) {
        for (let i = 0; i < ids.length; i += 1) {
          bytes.set(rows.subarray(i * rowBytes, (i + 1) * rowBytes), ids[i]! * rowBytes);
          written.add(ids[i]!);
        }
      },
      readRows: (ids, into) => copyRows(bytes, rowBytes, ids, into),
      async publish(manifest, checksums) {
        published.set(name, { manifest, bytes, checksums });
        unfinished.delete(name);
      },
      async close() {
        own.delete(range);
      },
    };
  },

  async remove(name) {
    expectNoWriter(name);
    published.delete(name);
    unfinished.delete(name);
  },
});

/** @param range within which; everywhere if it is left out */
function expectNoWriter(name: string, range: RowRange = { from: 0, to: Number.POSITIVE_INFINITY }): void {
  for (const { from, to } of writers.get(name) ?? []) {
    if (from >= Math.max(range.to, range.from + 1) || range.from >= Math.max(to, from + 1)) continue;
    throw new StoreError('STORE_LOCKED', `memory:${name} has a writer of rows ${from} to ${to} already`, 'Close that writer first.');
  }
}

function copyRows(bytes: Uint8Array, rowBytes: number, ids: Uint32Array, into: Uint8Array): void {
  for (let start = 0; start < ids.length; ) {
    const count = runLength(ids, start);
    into.set(bytes.subarray(ids[start]! * rowBytes, (ids[start]! + count) * rowBytes), start * rowBytes);
    start += count;
  }
}
