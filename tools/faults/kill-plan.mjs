/** In a process under test: dies, or stands still, just before a certain call that changes files; or says at its end which calls there were. */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { observe } from './calls.mjs';
import './workers.mjs';

/**
 * `at`: before which call, counted from 1 over all threads; absent: none. `report`: a file for the number of calls.
 * @typedef {{ root: string, at?: number, signal?: 'SIGKILL' | 'SIGSTOP', report?: string }} KillPlan
 */
const key = 'tools/faults/kill-plan';
/** The environment variable with a plan, as JSON. */
export const planVariable = 'SCONE_FAULTS_KILL';

/** @returns {boolean} whether there is a plan */
export function followInheritedKill() {
  const given = process.env[planVariable];
  if (given === undefined) return false;
  if (isMainThread) setEnvironmentData(key, new Int32Array(new SharedArrayBuffer(4)));
  const count = /** @type {Int32Array<SharedArrayBuffer>} */ (getEnvironmentData(key));
  /** @type {KillPlan} */
  const { root, at, signal = 'SIGKILL', report } = JSON.parse(given);
  observe({
    root,
    before({ writes, op }) {
      const changes = writes || op === 'fsync' || op === 'fdatasync';
      if (changes && Atomics.add(count, 0, 1) + 1 === at) process.kill(process.pid, signal);
      return undefined;
    },
  });
  if (isMainThread && report !== undefined) process.on('exit', () => writeFileSync(report, String(count[0])));
  return true;
}
