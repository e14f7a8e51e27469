/** A thread that matches: takes the next chunk until there is none. */
import { workerData } from 'node:worker_threads';
import { FgramSet } from '../fgrams/fgram-set.js';
import type { FgramManifest } from '../fgrams/format.js';
import { ScratchPages } from '../fgrams/shared-bytes.js';
import type { WasmMemory } from '../web-assembly.js';

/** All arrays lie in memory that the threads share. */
export interface MatchWorkerData {
  readonly bytes: Uint8Array;
  /** Where the bytes lie in WebAssembly's memory: a page of it for this thread alone. */
  readonly scratch: { readonly memory: WasmMemory; readonly page: number } | undefined;
  readonly manifest: FgramManifest;
  readonly tokens: Uint16Array | Uint32Array;
  readonly ids: Int32Array | undefined;
  readonly lengths: Uint8Array;
  readonly boundary: number;
  /** Tokens of a chunk. */
  readonly chunk: number;
  /** [1] the number of the next chunk. */
  readonly next: Int32Array;
}

const { bytes, scratch, manifest, tokens, ids, lengths, boundary, chunk, next }: MatchWorkerData = workerData;
const set = new FgramSet(bytes, manifest, scratch && new ScratchPages(scratch.memory, [scratch.page]));
for (;;) {
  const from = Atomics.add(next, 0, 1) * chunk;
  if (from >= tokens.length) break;
  const to = Math.min(tokens.length, from + chunk);
  set.match(tokens.subarray(from, to), {
    before: tokens.subarray(Math.max(0, from - set.maxLength + 1), from),
    lengths: lengths.subarray(from, to),
    ...(ids === undefined ? {} : { ids: ids.subarray(from, to) }),
    boundary,
  });
}
