/** The fault tests with the counts of a stress run, which take hours: npm run stress [-- FILES]. SCONE_SEED=N replays a run. */
import process from 'node:process';
import { runInTerminal } from './processes.mjs';
import { adapterEnvironment } from './setup/adapter.mjs';

const seed = process.env.SCONE_SEED ?? String(Date.now() % 2 ** 31);
process.stdout.write(`seed ${seed}\n`);
const files = process.argv.slice(2);
const args = ['node_modules/vitest/vitest.mjs', 'run', '--test-timeout=0', ...(files.length > 0 ? files : ['faults'])];
process.exit(await runInTerminal(process.execPath, args, { ...adapterEnvironment(), SCONE_STRESS: '1', SCONE_SEED: seed }));
