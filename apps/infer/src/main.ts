#!/usr/bin/env node
/** The command line of scone-infer. */
import { runMain } from '@sconelm/cli-kit';
import { evalCommand } from './commands/eval.js';
import { generateCommand } from './commands/generate.js';
import { serveCommand } from './commands/serve.js';
import { version } from './version.js';

await runMain({
  name: 'scone-infer',
  summary: 'SCONE language models at work',
  version,
  commands: [generateCommand, serveCommand, evalCommand],
});
