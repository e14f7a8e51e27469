/**
 * What one hostile input may cost: 256 MB of memory and a second. Measured from a thread of its own, which also ends the process,
 * with the input named, where an input keeps this thread busy for good.
 */
import process from 'node:process';
import { Worker } from 'node:worker_threads';

const capBytes = 256 * 2 ** 20;
const capMs = 1000;
const stuckMs = 30_000;

/** In the watching thread: samples the memory of the process, and looks whether the input has changed. */
const watching = `
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
const { shared, stuckMs } = workerData;
const state = new Float64Array(shared);
let [input, since] = [-1, Date.now()];
setInterval(() => {
  state[1] = Math.max(state[1], process.memoryUsage.rss());
  if (state[0] !== input) [input, since] = [state[0], Date.now()];
  else if (input >= 0 && Date.now() - since > stuckMs) {
    writeSync(2, 'input ' + input + ' has kept the parser busy for ' + stuckMs / 1000 + ' s\\n');
    process.kill(process.pid, 'SIGKILL');
  }
}, 5);`;

/**
 * Runs `parse` on inputs 0 to `count` - 1, one after the other, under the caps.
 * @param {number} count @param {(index: number) => Promise<void>} parse
 * @returns {Promise<{ slowestMs: number, peakBytes: number }>}
 */
export async function underCaps(count, parse) {
  const shared = new SharedArrayBuffer(16);
  const state = new Float64Array(shared);
  state[0] = -1;
  const watcher = new Worker(new URL(`data:text/javascript,${encodeURIComponent(watching)}`), {
    workerData: { shared, stuckMs },
    execArgv: [],
  });
  try {
    const seen = { slowestMs: 0, peakBytes: 0 };
    for (let index = 0; index < count; index += 1) {
      const before = process.memoryUsage.rss();
      state[1] = before;
      state[0] = index;
      // Time of this thread's CPU, so that a busy machine is no slow parser.
      const started = process.cpuUsage();
      await parse(index);
      const { user, system } = process.cpuUsage(started);
      const ms = (user + system) / 1000;
      const bytes = Math.max(state[1], process.memoryUsage.rss()) - before;
      if (ms > capMs) throw new Error(`input ${index} took ${Math.round(ms)} ms, more than ${capMs}`);
      if (bytes > capBytes)
        throw new Error(`input ${index} took the process to ${Math.round(bytes / 2 ** 20)} MiB more, beyond ${capBytes >> 20}`);
      seen.slowestMs = Math.max(seen.slowestMs, ms);
      seen.peakBytes = Math.max(seen.peakBytes, bytes);
    }
    return seen;
  } finally {
    await watcher.terminate();
  }
}
