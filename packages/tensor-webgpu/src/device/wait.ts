/**
 * Waiting for the GPU. In Node, Dawn keeps the main thread spinning while a promise is pending; where the "GPU" is the CPU, that spinning takes
 * the core the work needs. On software adapters one loop sleeps a tenth of a millisecond per turn of the event loop instead.
 */
// Made when first needed: pages that are not cross-origin isolated have no shared memory, and never sleep here.
let cell: Int32Array | undefined;
let waiters = 0;
let looping = false;

function turn(): void {
  if (waiters === 0) {
    looping = false;
    return;
  }
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, 0.1);
  setImmediate(turn);
}

/** Awaits `promise`, sleeping between turns of the event loop where `software` says that the adapter is a CPU. One loop serves all waiters. */
export async function waitFor<T>(promise: Promise<T>, software: boolean): Promise<T> {
  if (!software || typeof setImmediate !== 'function') return promise;
  waiters++;
  if (!looping) {
    looping = true;
    setImmediate(turn);
  }
  try {
    return await promise;
  } finally {
    waiters--;
  }
}
