/** `scone-infer serve`. */
import path from 'node:path';
import process from 'node:process';
import { bytesOf, defineCommand, sizeSchema } from '@sconelm/cli-kit';
import { modelDirectory, openModelFolder, withContext } from '@sconelm/decoder';
import { readRunManifest, runPaths } from '@sconelm/fgram-model';
import { openFgrams } from '@sconelm/ngram-miner';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { openChat } from '../chat/open-chat.js';
import { batchDecoder } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { LookUpCounts } from '../engine/look-up-counts.js';
import { InferError } from '../errors.js';
import { cacheBlocks, formatPlan, type PlanInputs, planMemory } from '../memory-plan.js';
import { isMissingStore, loadStoreBackends, openRun, type RunOptions, runOptions } from '../run-folder.js';
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
    noInspector: z.boolean().default(false).describe('neither the inspector’s page nor what it asks'),
    slots: z.int().min(1).max(256).default(8).describe('sequences that are decoded side by side'),
    maxWaiting: z.int().min(0).max(65_536).default(256).describe('sequences that may wait for a slot'),
    chunk: z.int().min(1).max(4096).default(64).describe('tokens of prompts that a step reads'),
    kvMemory: sizeSchema
      .optional()
      .describe(
        'what the key-value cache may take, as 512MiB (default: full contexts in all slots); sequences wait and give way where it is short',
      ),
    verifyRows: z
      .string()
      .regex(/^\d+(\.\d+)?%$/, 'expected a share as 0.1%')
      .optional()
      .describe('such a share of the rows is computed again and compared while serving, as 0.1%'),
    stopOnMismatch: z.boolean().default(false).describe('with --verify-rows: the server ends where a row is another than the one computed'),
    dryRun: z.boolean().default(false).describe('only says what it would take: weights, caches, rows in memory and off it'),
    graceSeconds: z.number().nonnegative().default(30).describe('running requests have so long to finish when the server ends'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const share = Number.parseFloat(config.verifyRows ?? '0') / 100;
    const kvMemoryBytes = config.kvMemory === undefined ? undefined : bytesOf(config.kvMemory);
    if (config.dryRun) {
      const inputs = { ...(await planInputs(config)), kvMemoryBytes, verifies: share > 0 };
      const plan = planMemory(inputs);
      output(plan, formatPlan(plan, inputs));
      return;
    }
    const keys = await apiKeys(config.apiKeyFile);
    expectSafeBind({ ...config, keys });
    let end: (failure?: unknown) => void = () => {};
    const ended = new Promise<unknown>((resolve) => {
      end = resolve;
    });
    process.once('SIGTERM', () => end());
    signal.addEventListener('abort', () => end());
    const state = new ServerState();
    const { app } = createApp(state, {
      version,
      keys,
      allowedHosts: [config.host, ...config.allowedHosts],
      corsOrigins: config.corsOrigins,
      noInspector: config.noInspector,
      onError: (error, requestId) => process.stderr.write(`request ${requestId}: ${error instanceof Error ? error.stack : error}\n`),
    });
    const listening = await listen(app, state, config);
    progress.note(`listening on ${listening.url}, loading ${config.model ?? config.run}`);
    using device = await openDevice();
    const onMismatch = (message: string) => {
      process.stderr.write(`${message}\n`);
      if (config.stopOnMismatch) end(new InferError('ROW_MISMATCH', message, 'Precompute the store again, on this kind of adapter.'));
    };
    await using run = await openRun(device, config, share === 0 ? undefined : { share, onMismatch });
    const lookUps = run.fgrams && new LookUpCounts();
    const { model, tokenizer, stopTokens, fingerprint, fgrams } = run;
    const blocks = cacheBlocks(model.config.decoder, config.slots, kvMemoryBytes);
    using decoder = batchDecoder(device, model, { slots: config.slots, blocks, fgramsOf: fgrams?.forSequence, lookUps });
    const id = config.modelName ?? run.name;
    await using chat = await openChat(run);
    state.model = {
      id,
      created: Math.floor(Date.now() / 1000),
      tokenizer,
      stopTokens,
      // Without its device the process is of no use: it ends, and whoever watches over it starts it again.
      engine: new Engine(decoder, { ...config, onFailure: (error) => isDeviceError(error) && end(error) }),
      fingerprint,
      chat,
      fgrams: fgrams?.set,
      store: fgrams?.rows,
      lookUps,
      verified: fgrams?.verified,
      directory: config.model === undefined ? run.directory : undefined,
    };
    output(
      { url: listening.url, model: id },
      `serving ${id} on ${listening.url}/v1${config.noInspector ? '' : `, the inspector on ${listening.url}/`}\n`,
    );
    progress[Symbol.dispose]();
    const failure = await ended;
    progress.note('no new requests; waiting for those that run');
    await listening.close(config.graceSeconds * 1000);
    if (failure !== undefined) throw failure;
  },
});

function isDeviceError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('DEVICE_');
}

/** Reads manifests, and the f-grams where there is no store yet. */
async function planInputs(config: RunOptions & { readonly slots: number }): Promise<Omit<PlanInputs, 'kvMemoryBytes' | 'verifies'>> {
  using device = await openDevice();
  const { maxBufferBytes, maxBindingBytes } = device.info;
  if (config.model !== undefined) {
    const { config: decoder } = await openModelFolder(await modelDirectory(config.model));
    return {
      ...config,
      config: { decoder: withContext(decoder, config.contextLength) },
      maxBufferBytes,
      maxBindingBytes,
      store: undefined,
    };
  }
  const directory = path.resolve(config.run);
  const manifest = await readRunManifest(directory);
  const inputs = { ...config, config: manifest.model, maxBufferBytes, maxBindingBytes };
  if (manifest.fgrams === undefined) return { ...inputs, store: undefined };
  await loadStoreBackends(config);
  const paths = runPaths(directory);
  const url = config.store ?? `file:${paths.rows}`;
  try {
    await using store = await openStore(url, { expect: { fgrams: manifest.fgrams } });
    return { ...inputs, store: { rows: store.rows, rowBytes: store.rowBytes, url: store.url } };
  } catch (error) {
    if (config.missingRows === 'error' || !isMissingStore(error)) throw error;
    const { size } = await openFgrams(paths.fgrams);
    return { ...inputs, store: { rows: size, rowBytes: 4 * manifest.model.decoder.width, url } };
  }
}
