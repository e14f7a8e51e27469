#!/usr/bin/env node
/** The command line of scone-train. */
import { runMain } from '@sconelm/cli-kit';
import { configCommand } from './commands/config.js';
import { evalCommand } from './commands/eval.js';
import { experimentCommand } from './commands/experiment.js';
import { exportCommand } from './commands/export.js';
import { fgramsCommand } from './commands/fgrams.js';
import { importCommand } from './commands/import.js';
import { mineCommand } from './commands/mine.js';
import { precomputeCommand } from './commands/precompute.js';
import { prepareCommand } from './commands/prepare.js';
import { quickstartCommand } from './commands/quickstart.js';
import { reportCommand } from './commands/report.js';
import { runCommand } from './commands/run.js';
import { storeBenchCommand } from './commands/store/bench.js';
import { storeCopyCommand } from './commands/store/copy.js';
import { storeInfoCommand } from './commands/store/info.js';
import { storeVerifyCommand } from './commands/store/verify.js';
import { version } from './version.js';

await runMain({
  name: 'scone-train',
  summary: 'text in, SCONE language model out',
  version,
  commands: [
    quickstartCommand,
    prepareCommand,
    mineCommand,
    fgramsCommand,
    runCommand,
    configCommand,
    precomputeCommand,
    evalCommand,
    reportCommand,
    experimentCommand,
    importCommand,
    exportCommand,
    storeCopyCommand,
    storeInfoCommand,
    storeVerifyCommand,
    storeBenchCommand,
  ],
});
