/** Workers of one machine: node start-workers.mjs N [OPTIONS OF work.mjs]. They stop when this does. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const [count, ...options] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(count ?? '')) {
  console.error('usage: node start-workers.mjs N [--server URL] [--memory-mib 1024]');
  process.exit(2);
}
const file = fileURLToPath(new URL('work.mjs', import.meta.url));
const workers = Array.from({ length: Number(count) }, () => spawn(process.execPath, [file, ...options], { stdio: 'inherit' }));
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    for (const worker of workers) worker.kill(signal);
  });
