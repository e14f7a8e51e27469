#!/usr/bin/env node
/** The command line of scone-infer. */
import { runMain } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { benchCommand } from './commands/bench.js';
import { chatCommand } from './commands/chat.js';
import { evalCommand } from './commands/eval.js';
import { explainCommand } from './commands/explain.js';
import { generateCommand } from './commands/generate.js';
import { publishCommand } from './commands/publish.js';
import { serveCommand } from './commands/serve.js';
import { version } from './version.js';

/** The version, and what it would run on. */
async function versionAndAdapter(): Promise<string> {
  try {
    using device = await openDevice();
    return `${version}, ${device.info.description || device.info.vendor}`;
  } catch (error) {
    return `${version}, no adapter: ${error instanceof Error ? error.message : error}`;
  }
}

await runMain({
  name: 'scone-infer',
  summary: 'SCONE language models at work',
  version: versionAndAdapter,
  variables: 'SCONE_INFER',
  commands: [generateCommand, chatCommand, serveCommand, explainCommand, evalCommand, benchCommand, publishCommand],
});
