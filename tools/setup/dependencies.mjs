/** Dependencies as the lock file says, installed without running install scripts. A stamp in node_modules tells which lock file they are of. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runQuietly } from '../processes.mjs';
import { SetupError } from './error.mjs';
import { ROOT } from './root.mjs';

const STAMP = path.join(ROOT, 'node_modules', '.sconelm-lock');

export async function ensureDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(ROOT, 'package-lock.json')))
    .digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return;
  const { code, output } = await runQuietly('Installing dependencies: npm ci --ignore-scripts', 'npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ]);
  if (code !== 0) {
    throw new SetupError(
      `npm ci failed:\n${output.trimEnd()}`,
      'Check that the npm registry can be reached, then run the same command again.',
    );
  }
  writeFileSync(STAMP, lock);
}
