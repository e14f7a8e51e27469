/** Child processes that a person watches: signs of life while they are quiet, Ctrl-C that lets them finish. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { ROOT } from './setup/root.mjs';

const windows = process.platform === 'win32';

/**
 * Runs a command that shares this terminal. On Ctrl-C, which it receives too, it is waited for, so that it can save its work.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Record<string, string | undefined>} environment added to this process's
 * @returns {Promise<number>} its exit code
 */
export function runInTerminal(command, args, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: 'inherit',
      shell: windows && command !== process.execPath,
    });
    const wait = () => {};
    process.on('SIGINT', wait);
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', wait);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

/**
 * Runs a command without its output, a dot a second in its place.
 * @param {string} label
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} cwd
 * @returns {Promise<{ code: number | null, output: string }>} the output is for when it failed
 */
export function runQuietly(label, command, args, cwd = ROOT) {
  process.stderr.write(`${label} `);
  const started = performance.now();
  const dots = setInterval(() => process.stderr.write('.'), 1000);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: process.env, stdio: ['ignore', 'pipe', 'pipe'], shell: windows });
    let output = '';
    const keep = (/** @type {Buffer} */ data) => {
      output += data;
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(dots);
      process.stderr.write(code === 0 ? ` ${((performance.now() - started) / 1000).toFixed(1)} s\n` : ' failed\n');
      resolve({ code, output });
    });
  });
}
