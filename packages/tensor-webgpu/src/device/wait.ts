/**
 * Waiting for the GPU. In Node, Dawn keeps the main thread spinning while a promise is pending; where the "GPU" is the CPU, that spinning takes
 * the core the work needs. On software adapters one loop sleeps at every turn of the event loop instead: as long as the end is not near, as far as
 * the last waits tell, a millisecond, because each turn takes time from the work's threads; then a tenth of one.
 */
// Made when first needed: pages that are not cross-origin isolated have no shared memory, and never sleep here.
let cell: Int32Array | undefined;
let waiters = 0;
let looping = false;
/** When the last wait began. */
let began = 0;

const LONGEST_SLEEP_MS = 1;
const SHORTEST_SLEEP_MS = 0.1;
/** What the last waits took, in ms: the shortest of them is what the next one takes at least, or so it seems. */
const recent = [0, 0, 0, 0];
/** This part of it is slept through. */
const SURE = 0.7;

function sleepMs(): number {
  const left = SURE * Math.min(...recent) - (performance.now() - began);
  return Math.min(LONGEST_SLEEP_MS, Math.max(SHORTEST_SLEEP_MS, left));
}

function turn(): void {
  if (waiters === 0) {
    looping = false;
    return;
  }
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, sleepMs());
  setImmediate(turn);
}

/** Awaits `promise`, sleeping between turns of the event loop where `software` says that the adapter is a CPU. One loop serves all waiters. */
export async function waitFor<T>(promise: Promise<T>, software: boolean): Promise<T> {
  if (!software || typeof setImmediate !== 'function') return promise;
  waiters++;
  const started = performance.now();
  began = started;
  if (!looping) {
    looping = true;
    setImmediate(turn);
  }
  try {
    return await promise;
  } finally {
    waiters--;
    recent.shift();
    recent.push(performance.now() - started);
  }
}
