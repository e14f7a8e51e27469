/** kill -9 of real commands: before a call that changes files, and at random times; the same command then ends byte for byte as undisturbed. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { inFolder, treeOf } from './folder.mjs';
import { planVariable } from './kill-plan.mjs';
import { randomFrom, runSeed, times } from './random.mjs';
import { differenceOf } from './writer.mjs';

const preload = new URL('preload.mjs', import.meta.url).href;

/**
 * @typedef {object} KilledCommand
 * @property {readonly string[]} args of node: the program and its arguments; paths are relative to the folder it runs in
 * @property {(folder: string) => Promise<unknown> | void} [setUp] fills the empty folder
 * @property {RegExp} [varies] names of files whose bytes differ from run to run: only their names are compared
 */
/** @typedef {{ readonly code: number | null, readonly signal: string | null, readonly err: string, readonly ms: number }} Ended */

/**
 * @param {KilledCommand} command @param {string} folder
 * @param {{ plan?: Omit<import('./kill-plan.mjs').KillPlan, 'root'>, killAfterMs?: number, onSpawn?: (child: import('node:child_process').ChildProcess) => void }} [options]
 * @returns {Promise<Ended>}
 */
function run({ args }, folder, { plan, killAfterMs, onSpawn } = {}) {
  const started = Date.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...(plan === undefined ? [] : ['--import', preload]), ...args], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...(plan === undefined ? {} : { [planVariable]: JSON.stringify({ root: folder, ...plan }) }) },
    });
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const timer = killAfterMs === undefined ? undefined : globalThis.setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, err, ms: Date.now() - started });
    });
    onSpawn?.(child);
  });
}

/** @param {Ended} ended @param {string} what */
function expectDone({ code, signal, err }, what) {
  if (code !== 0) throw new Error(`${what}: the command ends with ${code ?? signal}: ${err.slice(-2000)}`);
}

/**
 * Kills a command `kills` times, each in a new folder: by turns before one of its calls that change files, drawn evenly from all of them,
 * and after a random time; one time in three twice in a row. The command is then run to its end, and the folder compared.
 * Before that, it is shown that a second one is refused while the first is at work.
 * @param {KilledCommand} command
 * @param {{ kills?: number, seed?: number, lockedCode?: RegExp }} [options] lockedCode: what the second one says; absent: nothing is locked
 * @returns {Promise<{ killed: number, ended: number }>} `ended`: it was done before the random time was over
 */
export async function forKills(command, { kills = times(4, 300), seed = runSeed, lockedCode } = {}) {
  /** @param {(folder: string) => Promise<void>} work */
  const prepared = (work) =>
    inFolder(async (folder) => {
      await command.setUp?.(folder);
      await work(folder);
    });
  /** @type {Record<string, string>} */
  let tree = {};
  let calls = 0;
  let ms = 0;
  await inFolder(async (aside) => {
    const report = path.join(aside, 'calls');
    await prepared(async (folder) => {
      const ended = await run(command, folder, { plan: { report } });
      expectDone(ended, 'undisturbed');
      tree = treeOf(folder, command.varies);
      calls = Number(readFileSync(report, 'utf8'));
      ms = ended.ms;
    });
  });
  if (calls < 5) throw new Error(`the command changes files ${calls} times: there is nothing to interrupt`);
  if (lockedCode !== undefined) await prepared((folder) => expectSecondRefused(command, folder, { calls, tree, lockedCode }));

  const seen = { killed: 0, ended: 0 };
  for (let index = 0; index < kills; index += 1) {
    const random = randomFrom(seed + index);
    await prepared(async (folder) => {
      const points = [];
      for (let times = random.below(3) === 0 ? 2 : 1; times > 0; times -= 1) {
        const byCall = (index + times) % 2 === 0;
        const at = 1 + random.below(calls);
        const killAfterMs = Math.round(random.next() * ms);
        points.push(byCall ? `before call ${at} of ${calls}` : `after ${killAfterMs} of ${ms} ms`);
        const { signal } = await run(command, folder, byCall ? { plan: { at } } : { killAfterMs });
        if (signal === 'SIGKILL') seen.killed += 1;
        else seen.ended += 1;
      }
      const where = `killed ${points.join(', then ')} (seed ${seed + index})`;
      expectDone(await run(command, folder), where);
      const after = treeOf(folder, command.varies);
      if (!isDeepStrictEqual(after, tree)) throw new Error(`${where}: after running again ${differenceOf(after, tree)}`);
    });
  }
  return seen;
}

/**
 * The first command stands still in the midst of its work while the second one runs.
 * @param {KilledCommand} command @param {string} folder @param {{ calls: number, tree: Record<string, string>, lockedCode: RegExp }} expected
 */
async function expectSecondRefused(command, folder, { calls, tree, lockedCode }) {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let first;
  const firstEnded = run(command, folder, {
    plan: { at: Math.ceil(calls / 2), signal: 'SIGSTOP' },
    onSpawn: (child) => {
      first = child;
    },
  });
  try {
    while (!isStopped(first?.pid)) await setTimeout(20);
    const second = await run(command, folder);
    if (second.code !== 1 || !lockedCode.test(second.err))
      throw new Error(`a second one ends with ${second.code}: ${second.err.slice(-1000)}`);
  } finally {
    first?.kill('SIGCONT');
  }
  expectDone(await firstEnded, 'while a second one was refused');
  const after = treeOf(folder, command.varies);
  if (!isDeepStrictEqual(after, tree)) throw new Error(`after a second one was refused ${differenceOf(after, tree)}`);
}

/** @param {number | undefined} pid */
function isStopped(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat[stat.lastIndexOf(')') + 2] === 'T';
}
