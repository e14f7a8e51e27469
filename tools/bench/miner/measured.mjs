/** One engine on one case in a process of its own: what it took from its first to its last moment, on all its threads. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';

/**
 * @typedef {object} Taken
 * @property {number} cpuSeconds user and system time of every thread
 * @property {number} wallSeconds
 * @property {number} peakMB resident at most
 * @property {Record<string, any>} result what the engine says of its work
 */

/** What this process took so far. */
export function takenSoFar() {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, wallSeconds: performance.now() / 1e3, peakMB: maxRSS / 1e3 };
}

/** The child's last word. @param {Record<string, any>} result */
export function finish(result, taken = takenSoFar()) {
  process.stdout.write(`\u0001${JSON.stringify({ ...taken, result })}\n`, () => process.exit(0));
}

/** The child's question. */
export const question = () => JSON.parse(process.argv[2]);

/** @param {readonly string[]} command @param {object} spec given as JSON in the last argument @returns {Promise<Taken>} */
export const runMeasured = (command, spec) =>
  new Promise((resolve, reject) => {
    const child = spawn(command[0], [...command.slice(1), JSON.stringify(spec)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let trouble = '';
    /** @type {Taken | undefined} */
    let taken;
    child.stderr.on('data', (data) => {
      trouble = (trouble + data).slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('\u0001')) taken = JSON.parse(line.slice(1));
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 && taken !== undefined) resolve(taken);
      else
        reject(
          new Error(
            /^\S*Error.*$/m.exec(trouble)?.[0] ?? (trouble.trim().split('\n').at(-1) || `its process ended with ${code ?? signal}`),
          ),
        );
    });
  });
