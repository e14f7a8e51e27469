/** The backends that are there without registering, on Node. */
import { fileBackend } from './backends/file.js';
import { httpBackend, httpsBackend } from './backends/https.js';
import { lmdbBackend } from './backends/lmdb.js';
import { memoryBackend } from './backends/memory.js';
import { tieredBackend } from './backends/tiered.js';
import { valkeyBackend, valkeysBackend } from './backends/valkey.js';

export const builtinBackends = [
  fileBackend,
  lmdbBackend,
  memoryBackend,
  httpsBackend,
  httpBackend,
  tieredBackend,
  valkeyBackend,
  valkeysBackend,
];
