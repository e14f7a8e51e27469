/** The API reference, docs/api/index.html, from the docstrings of all packages; a docstring that names what is not there fails. --check: writes nothing. */
import path from 'node:path';
import process from 'node:process';
import { runInTerminal } from '../processes.mjs';
import { ensureDependencies } from '../setup/dependencies.mjs';
import { ROOT } from '../setup/root.mjs';

const here = path.join(ROOT, 'tools/api-docs');
await ensureDependencies(here);
const args = ['--options', path.join(here, 'typedoc.json'), ...(process.argv.includes('--check') ? ['--emit', 'none'] : [])];
process.exit(await runInTerminal(process.execPath, [path.join(here, 'node_modules/typedoc/bin/typedoc'), ...args]));
