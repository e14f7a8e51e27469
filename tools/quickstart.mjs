/** Builds the packages and runs the quickstart with the adapter that set-up found. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { adapterEnvironment } from './setup/adapter.mjs';
import { ROOT } from './setup/dependencies.mjs';

process.stderr.write('Building the packages\n');
const environment = { ...process.env, ...adapterEnvironment() };
const build = spawnSync('npm', ['run', '-s', 'build', '--', '--output-style=static'], {
  cwd: ROOT,
  env: environment,
  encoding: 'utf8',
  shell: process.platform === 'win32',
});
if (build.status !== 0) {
  process.stderr.write(
    `${build.stdout}${build.stderr}error: the build failed\n  -> Mend what is said above, then run the same command again.\n`,
  );
  process.exit(1);
}
const { status } = spawnSync(process.execPath, [path.join(ROOT, 'apps/train/dist/main.js'), 'quickstart', ...process.argv.slice(2)], {
  cwd: ROOT,
  env: environment,
  stdio: 'inherit',
});
process.exit(status ?? 1);
