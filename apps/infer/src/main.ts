#!/usr/bin/env node
/** The command line of scone-infer. */
import { readFileSync } from 'node:fs';
import { runMain } from '@sconelm/cli-kit';
import { evalCommand } from './commands/eval.js';
import { generateCommand } from './commands/generate.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

await runMain({ name: 'scone-infer', summary: 'SCONE language models at work', version, commands: [generateCommand, evalCommand] });
