/** Fixed-width rows by dense id, kept off the accelerator: create, publish, open, read; backends by URL scheme. */
export { defineBackend, type RowRange, type RowReader, type RowSink, type SinkOptions, type StoreBackend } from './backend.js';
export type { ComputeRows } from './compute.js';
export { type CopyOptions, copyStore } from './copy.js';
export { CorruptStoreError, StoreArgumentError, StoreError, type StoreErrorCode, StoreMismatchError, withStoreErrors } from './errors.js';
export type { StoreBinding, StoreDescription, StoreManifest, StoreRequest } from './manifest.js';
export { expectDescription, formatDescription, formatStoreManifest, parseStoreManifest } from './manifest-text.js';
export { formatPrometheus, type LatencyHistogram, latencyQuantile, type StoreMetrics } from './metrics.js';
export type { ReaderOptions, ReadOptions, RowStore } from './reader.js';
export { loadBackends, registerBackend } from './registry.js';
export { type RowDtype, rowBytesOf, rowDtypes } from './row-dtype.js';
export { RowSet } from './row-set.js';
export { type CreateOptions, createStore, deleteStore, type OpenOptions, openFillingStore, openStore } from './store.js';
export type { RowWriter } from './writer.js';
