/** `scone-infer serve`. */
import path from 'node:path';
import process from 'node:process';
import { defineCommand } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { sessionDecoder } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { openRun, runOptions } from '../run-folder.js';
import { createApp } from '../server/app.js';
import { apiKeys, expectSafeBind } from '../server/keys.js';
import { listen } from '../server/listen.js';
import { ServerState } from '../server/served-model.js';
import { version } from '../version.js';

export const serveCommand = defineCommand({
  name: 'serve',
  summary: 'an HTTP server that OpenAI’s clients, evaluators and dashboards know',
  examples: [
    'npm run infer -- serve --run runs/quickstart/scone',
    'SCONE_INFER_API_KEY=... scone-infer serve --run runs/scone --host 0.0.0.0 --allowed-hosts models.example.org',
  ],
  config: z.strictObject({
    ...runOptions,
    modelName: z.string().optional().describe('its name in the API (default: that of the folder)'),
    host: z.string().default('127.0.0.1').describe('address to listen on; others than loopback need a key'),
    port: z.int().min(0).max(65_535).default(8000).describe('0: any free one'),
    apiKeyFile: z.string().optional().describe('a key on each line; or one in SCONE_INFER_API_KEY'),
    noAuth: z.boolean().default(false).describe('no key, though others than this machine can reach the server'),
    allowedHosts: z.array(z.string()).default([]).describe('names that requests may call the server by'),
    corsOrigins: z.array(z.string()).default([]).describe('origins of pages that may ask'),
    slots: z.int().min(1).max(256).default(8).describe('sequences that are decoded side by side'),
    maxWaiting: z.int().min(0).max(65_536).default(256).describe('sequences that may wait for a slot'),
    chunk: z.int().min(1).max(4096).default(64).describe('tokens of prompts that a step reads'),
    graceSeconds: z.number().nonnegative().default(30).describe('running requests have so long to finish when the server ends'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const keys = await apiKeys(config.apiKeyFile);
    expectSafeBind({ ...config, keys });
    const terminated = new Promise<void>((resolve) => {
      process.once('SIGTERM', () => resolve());
      signal.addEventListener('abort', () => resolve());
    });
    const state = new ServerState();
    const { app } = createApp(state, {
      version,
      keys,
      allowedHosts: [config.host, ...config.allowedHosts],
      corsOrigins: config.corsOrigins,
      onError: (error, requestId) => process.stderr.write(`request ${requestId}: ${error instanceof Error ? error.stack : error}\n`),
    });
    const listening = await listen(app, state, config);
    progress.note(`listening on ${listening.url}, loading ${config.run}`);
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, fingerprint, fgrams } = run;
    using decoder = sessionDecoder(device, model, { slots: config.slots, fgramsOf: fgrams?.forSequence });
    const id = config.modelName ?? path.basename(run.directory);
    state.model = {
      id,
      created: Math.floor(Date.now() / 1000),
      tokenizer,
      engine: new Engine(decoder, config),
      fingerprint,
      fgrams: fgrams?.set,
      store: fgrams?.rows,
    };
    output({ url: listening.url, model: id }, `serving ${id} on ${listening.url}/v1\n`);
    progress[Symbol.dispose]();
    await terminated;
    progress.note('no new requests; waiting for those that run');
    await listening.close(config.graceSeconds * 1000);
  },
});
