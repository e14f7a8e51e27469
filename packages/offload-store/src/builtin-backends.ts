/** The backends that are there without registering, on Node. */
import { fileBackend } from './backends/file.js';
import { httpBackend, httpsBackend } from './backends/https.js';
import { memoryBackend } from './backends/memory.js';
import { tieredBackend } from './backends/tiered.js';

export const builtinBackends = [fileBackend, memoryBackend, httpsBackend, httpBackend, tieredBackend];
