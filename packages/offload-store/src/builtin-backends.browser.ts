/** The backends that are there without registering, in browsers. */
import { httpBackend, httpsBackend } from './backends/https.js';
import { memoryBackend } from './backends/memory.js';
import { tieredBackend } from './backends/tiered.js';

export const builtinBackends = [memoryBackend, httpsBackend, httpBackend, tieredBackend];
