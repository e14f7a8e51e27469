/**
 * The Nth call fails, for N = 1, 2, ... until the work is done without reaching the Nth. [SQLite, "How SQLite Is Tested": I/O errors]
 */
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { observe, openFilesIn } from './calls.mjs';
import { inFolder } from './folder.mjs';
import { startNewLife } from './lives.mjs';
import { expectOldOrNew, expectResumable, flawOf, undisturbed } from './writer.mjs';
import './workers.mjs';

/** @typedef {import('./calls.mjs').Call} Call */
/** @typedef {'EIO' | 'ENOSPC' | 'EMFILE' | 'short write' | 'short read'} Fault */

/** @type {readonly Fault[]} */
export const allFaults = ['EIO', 'ENOSPC', 'EMFILE', 'short write', 'short read'];

const texts = { EIO: 'i/o error', ENOSPC: 'no space left on device', EMFILE: 'too many open files' };
const errnos = { EIO: -5, ENOSPC: -28, EMFILE: -24 };
const takesSpace = new Set(
  'appendFile copyFile cp fdatasync fsync ftruncate link mkdir mkdtemp rename symlink truncate write writeFile writev'.split(' '),
);
const opens = new Set('open opendir readFile readdir writeFile appendFile copyFile cp'.split(' '));

/** Whether this fault can befall this call. @param {Fault} fault @param {Call} call */
export function canBefall(fault, call) {
  if (fault === 'EMFILE') return opens.has(call.op) && call.fd === undefined;
  if (fault === 'ENOSPC') return takesSpace.has(call.op) || (call.op === 'open' && call.writes);
  if (fault === 'short write') return call.op === 'write' || call.op === 'writev';
  if (fault === 'short read') return call.op === 'read' || call.op === 'readv';
  return true;
}

/** @param {Fault} fault @param {Call} call @returns {import('./calls.mjs').Disturbance} */
export function disturbanceOf(fault, call) {
  if (fault === 'short write' || fault === 'short read') return { short: true };
  const message = `${fault}: ${texts[fault]}, ${call.op} '${call.path}'${call.to === undefined ? '' : ` -> '${call.to}'`}`;
  return { error: Object.assign(new Error(message), { errno: errnos[fault], code: fault, syscall: call.op, path: call.path }) };
}

/**
 * The plan of one run, shared with its worker threads: fail the `at`th call that `fault` can befall.
 * @typedef {{ root: string, fault: Fault, at: number, count: Int32Array<SharedArrayBuffer> }} Plan
 */
const planKey = 'tools/faults/nth-call';

/** @param {Plan} plan @param {(call: Call) => void} [befell] @returns {() => void} ends it */
function follow(plan, befell) {
  return observe({
    root: plan.root,
    before(call) {
      if (!canBefall(plan.fault, call) || Atomics.add(plan.count, 0, 1) + 1 !== plan.at) return undefined;
      befell?.(call);
      return disturbanceOf(plan.fault, call);
    },
  });
}

/** In a worker thread: follows the plan of the thread that started it. */
export function followInherited() {
  const plan = /** @type {Plan | undefined} */ (getEnvironmentData(planKey));
  if (plan !== undefined) follow(plan);
}

/**
 * Runs a writer with its 1st, 2nd, ... call failing, and checks after each that readers see the old or the new state, that the
 * error is typed, that no file stays open, and that running again ends byte for byte as without the fault.
 * @template T @param {import('./writer.mjs').Writer<T>} writer
 * @param {{ faults?: readonly Fault[], from?: Partial<Record<Fault, number>>, step?: number }} [options] `step` s tries every sth call, from a start that differs per fault
 * @returns {Promise<Record<string, number>>} how many calls were let fail, by fault
 */
export async function forEveryCall(writer, { faults = allFaults, step = 1 } = {}) {
  const expected = await undisturbed(writer);
  /** @type {Record<string, number>} */
  const tried = {};
  for (const [start, fault] of faults.entries()) {
    tried[fault] = 0;
    for (let at = 1 + (start % step); await tryOnce(writer, expected, fault, at); at += step) tried[fault] += 1;
  }
  return tried;
}

/**
 * @template T @param {import('./writer.mjs').Writer<T>} writer @param {import('./writer.mjs').Expected<T>} expected
 * @param {Fault} fault @param {number} at @returns {Promise<boolean>} whether there was an `at`th call
 */
function tryOnce(writer, expected, fault, at) {
  return inFolder(async (folder) => {
    startNewLife();
    await writer.setUp?.(folder);
    startNewLife();
    const plan = { root: folder, fault, at, count: new Int32Array(new SharedArrayBuffer(4)) };
    const outcome = await disturbed(plan, () => writer.write(folder));
    if (plan.count[0] < at) {
      if ('error' in outcome) throw outcome.error;
      return false;
    }
    const went = 'error' in outcome ? 'failed' : 'went on';
    try {
      await expectGoodFailure(fault, outcome, folder);
      await expectOldOrNew(writer, expected, folder, 'value' in outcome);
      await expectResumable(writer, expected, folder);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${fault} at call ${at} (${outcome.where}), the writer ${went}: ${reason}`, { cause: error });
    }
    return true;
  });
}

/**
 * Reads an undisturbed folder with the 1st, 2nd, ... call failing: the right data or an error with code and remedy, nothing left open.
 * @template T @param {(folder: string) => Promise<unknown>} setUp @param {(folder: string) => Promise<T>} read
 * @param {{ faults?: readonly Fault[] }} [options]
 * @returns {Promise<Record<string, number>>} how many calls were let fail, by fault
 */
export function forEveryCallOfReader(setUp, read, { faults = allFaults } = {}) {
  return inFolder(async (folder) => {
    startNewLife();
    await setUp(folder);
    const right = await read(folder);
    /** @type {Record<string, number>} */
    const tried = {};
    for (const fault of faults) {
      for (let at = 1; ; at += 1) {
        const plan = { root: folder, fault, at, count: new Int32Array(new SharedArrayBuffer(4)) };
        const outcome = await disturbed(plan, () => read(folder));
        if (plan.count[0] < at) break;
        tried[fault] = at;
        try {
          if ('value' in outcome && !isDeepStrictEqual(outcome.value, right)) throw new Error('it reads without an error, but wrong');
          await expectGoodFailure(fault, outcome, folder);
        } catch (error) {
          throw new Error(`${fault} at call ${at} (${outcome.where}): ${error instanceof Error ? error.message : error}`, { cause: error });
        }
      }
    }
    return tried;
  });
}

/**
 * Runs `work` under a plan.
 * @template T @param {Plan} plan @param {() => Promise<T>} work
 * @returns {Promise<({ value: T } | { error: unknown }) & { where: string }>} where: the call that was let fail
 */
async function disturbed(plan, work) {
  let where = 'in a worker thread';
  const short = (/** @type {string} */ file) => file.slice(plan.root.length + 1) || '.';
  const end = follow(plan, ({ op, path, to }) => {
    where = `${op} ${short(path)}${to === undefined ? '' : ` -> ${short(to)}`}`;
  });
  setEnvironmentData(planKey, plan);
  try {
    const value = await work();
    return { value, where };
  } catch (error) {
    return { error, where };
  } finally {
    setEnvironmentData(planKey, undefined);
    end();
  }
}

/** @param {Fault} fault @param {{ value: unknown } | { error: unknown }} outcome @param {string} folder */
async function expectGoodFailure(fault, outcome, folder) {
  if ('error' in outcome) {
    if (fault.startsWith('short')) throw new Error(`a ${fault} is no error`, { cause: outcome.error });
    const flaw = flawOf(outcome.error);
    if (flaw !== undefined) throw new Error(flaw);
  }
  // Streams close what they had open a moment after they told the error.
  for (let wait = 0; wait < 100 && openFilesIn(folder).length > 0; wait += 1) await setTimeout(1);
  const open = openFilesIn(folder);
  if (open.length > 0) throw new Error(`these files stay open: ${open.join(', ')}`);
}
