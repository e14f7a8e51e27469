/** Runs a command in the environment in which WebGPU finds the adapter of set-up: node tools/with-adapter.mjs COMMAND ARGUMENTS. */
import process from 'node:process';
import { runInTerminal } from './processes.mjs';
import { adapterEnvironment } from './setup/adapter.mjs';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) throw new Error('usage: node tools/with-adapter.mjs COMMAND ARGUMENTS');
process.exit(await runInTerminal(command === 'node' ? process.execPath : command, args, adapterEnvironment()));
