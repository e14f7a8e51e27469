/** Dependencies as the lock file says, installed without running install scripts. A stamp in node_modules tells which lock file they are of. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runQuietly } from '../processes.mjs';
import { SetupError } from './error.mjs';
import { ROOT } from './root.mjs';

/** @param {string} folder of a package.json and its lock file */
export async function ensureDependencies(folder = ROOT) {
  const stamp = path.join(folder, 'node_modules', '.sconelm-lock');
  const lock = createHash('sha256')
    .update(readFileSync(path.join(folder, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  const what = folder === ROOT ? 'dependencies' : `dependencies of ${path.relative(ROOT, folder)}`;
  const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  const { code, output } = await runQuietly(`Installing ${what}: npm ci --ignore-scripts`, 'npm', args, folder);
  if (code !== 0) {
    throw new SetupError(
      `npm ci failed:\n${output.trimEnd()}`,
      'Check that the npm registry can be reached, then run the same command again.',
    );
  }
  writeFileSync(stamp, lock);
}
