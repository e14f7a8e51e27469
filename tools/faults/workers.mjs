/** Every worker thread that is started from here on observes its calls too. */
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';
import workers from 'node:worker_threads';

const preload = new URL('preload.mjs', import.meta.url).href;

class ObservedWorker extends workers.Worker {
  /** @param {string | URL} file @param {import('node:worker_threads').WorkerOptions} [options] */
  constructor(file, options = {}) {
    const inherited = options.execArgv ?? process.execArgv;
    super(file, { ...options, execArgv: inherited.includes(preload) ? inherited : [...inherited, '--import', preload] });
  }
}
Object.defineProperty(ObservedWorker, 'name', { value: 'Worker' });
workers.Worker = ObservedWorker;
syncBuiltinESMExports();
