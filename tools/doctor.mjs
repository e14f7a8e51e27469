/** What this machine offers, and for each problem what to do: `npm run doctor`, as data with `--json`. Exits 1 where there is a problem. */
import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { adapterEnvironment } from './setup/adapter.mjs';
import { manualCommands } from './setup/mesa.mjs';
import { expectNode } from './setup/node-version.mjs';
import { ROOT } from './setup/root.mjs';

/** @typedef {{ problem: string, remedy: string }} Problem */

const GIB = 2 ** 30;
/** @type {Problem[]} */
const problems = [];

/** @param {string} name @returns {string} */
function versionOf(name) {
  try {
    return createRequire(import.meta.url)(`${name}/package.json`).version;
  } catch {
    problems.push({ problem: `${name} is not installed`, remedy: 'Run: node tools/setup.mjs' });
    return 'missing';
  }
}

/** Asks in a process of its own, which a broken driver may end. @returns {Record<string, unknown> | null} */
function adapterOf() {
  const { status, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('./setup/describe-adapter.mjs', import.meta.url))], {
    env: { ...process.env, ...adapterEnvironment() },
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (status === 0) return JSON.parse(stdout);
  problems.push({ problem: 'WebGPU finds no adapter', remedy: manualCommands() });
  return null;
}

function nodeVersion() {
  try {
    expectNode(process.versions.node);
  } catch (error) {
    if (error instanceof Error && 'remedy' in error) problems.push({ problem: error.message, remedy: String(error.remedy) });
  }
  return process.versions.node;
}

const { bavail, bsize } = statfsSync(ROOT);
const report = {
  system: `${os.type()} ${os.release()} ${os.arch()}`,
  node: nodeVersion(),
  cores: os.availableParallelism(),
  cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
  memoryGiB: Number((os.totalmem() / GIB).toFixed(1)),
  freeMemoryGiB: Number((os.freemem() / GIB).toFixed(1)),
  freeDiskGiB: Number(((bavail * bsize) / GIB).toFixed(1)),
  versions: Object.fromEntries(['webgpu', 'typescript', 'vitest', 'nx'].map((name) => [name, versionOf(name)])),
  adapter: adapterOf(),
};
if (report.freeDiskGiB < 1)
  problems.push({
    problem: `${report.freeDiskGiB} GiB of disk are free`,
    remedy: 'Free a gibibyte: the quickstart writes about 50 MB, the dependencies 400 MB.',
  });
if (report.memoryGiB < 4)
  problems.push({ problem: `${report.memoryGiB} GiB of memory`, remedy: 'Close other programs; the quickstart takes about 1 GiB.' });

if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ ...report, problems })}\n`);
else {
  /** @param {string} name @param {unknown} value @param {string} indent */
  const print = (name, value, indent = '') => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      process.stdout.write(`${indent}${name}\n`);
      for (const [key, inner] of Object.entries(value)) print(key, inner, `${indent}  `);
    } else process.stdout.write(`${indent}${name.padEnd(34 - indent.length)} ${Array.isArray(value) ? value.join(', ') : String(value)}\n`);
  };
  for (const [name, value] of Object.entries(report)) print(name, value);
  for (const { problem, remedy } of problems) process.stdout.write(`problem: ${problem}\n  -> ${remedy}\n`);
  if (problems.length === 0) process.stdout.write('no problems found\n');
}
process.exit(problems.length === 0 ? 0 : 1);
