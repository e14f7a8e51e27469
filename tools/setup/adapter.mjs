/**
 * A WebGPU adapter that Dawn accepts. Where there is none on Debian or Ubuntu, Mesa's lavapipe (Vulkan on the CPU) is installed: into the
 * system as root, or unpacked into `.cache` with `--rootless`. What was found is remembered in `.cache`, so that a second run is idle.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { SetupError } from './error.mjs';
import { installMesa, manualCommands, unpackMesa } from './mesa.mjs';
import { ROOT } from './root.mjs';

const CACHE = path.join(ROOT, '.cache');
const FOUND = path.join(CACHE, 'adapter.json');
const MESA = path.join(CACHE, 'mesa');

/**
 * Asks Dawn for an adapter in a process of its own, which a broken driver may end.
 * @param {Record<string, string>} environment
 * @returns {string | undefined} the adapter's description
 */
function probe(environment) {
  const { status, stdout } = spawnSync(process.execPath, [path.join(ROOT, 'tools/setup/probe.mjs')], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    encoding: 'utf8',
    timeout: 120_000,
  });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * What the processes of this checkout need in their environment to find the adapter.
 * @returns {Record<string, string>}
 */
export function adapterEnvironment() {
  if (!existsSync(FOUND)) return {};
  return JSON.parse(readFileSync(FOUND, 'utf8')).environment;
}

/**
 * @param {{ rootless: boolean }} options
 * @throws {SetupError} with the commands to run by hand
 */
export function ensureAdapter({ rootless }) {
  // The driver files are checked on every run; Dawn, which takes a second to start, only when they changed.
  if (existsSync(FOUND)) {
    const { files } = JSON.parse(readFileSync(FOUND, 'utf8'));
    if (files.every((/** @type {string} */ file) => existsSync(file))) return;
  }
  /** @type {Record<string, string>} */
  let environment = {};
  let description = probe(environment);
  if (description === undefined) {
    if (process.platform !== 'linux') {
      throw new SetupError('WebGPU finds no adapter on this machine', 'Update the graphics driver, then run the same command again.');
    }
    process.stderr.write('WebGPU finds no adapter. ');
    if (rootless) environment = unpackMesa(MESA);
    else installMesa();
    description = probe(environment);
    if (description === undefined) throw new SetupError('WebGPU still finds no adapter with the installed driver', manualCommands());
  }
  process.stderr.write(`WebGPU adapter: ${description}\n`);
  mkdirSync(CACHE, { recursive: true });
  const files = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES']
    .flatMap((name) => (environment[name] ?? '').split(':'))
    .filter((file) => file !== '');
  writeFileSync(FOUND, JSON.stringify({ description, environment, files }));
}
