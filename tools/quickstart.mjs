/** Builds the packages and runs the quickstart with the adapter that set-up found. */
import path from 'node:path';
import process from 'node:process';
import { runInTerminal, runQuietly } from './processes.mjs';
import { adapterEnvironment } from './setup/adapter.mjs';
import { ROOT } from './setup/root.mjs';

const { code, output } = await runQuietly('Building the packages', 'npm', ['run', '-s', 'build', '--', '--output-style=static']);
if (code !== 0) {
  process.stderr.write(`${output}error: the build failed\n  -> Mend what is said above, then run the same command again.\n`);
  process.exit(1);
}
const app = path.join(ROOT, 'apps/train/dist/main.js');
process.exit(await runInTerminal(process.execPath, [app, 'quickstart', ...process.argv.slice(2)], adapterEnvironment()));
