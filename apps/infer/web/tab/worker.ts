/** The worker that runs the model: what it says and is told is in messages.ts. */
import { config } from 'zod';
import type { PublishedManifest } from '../../src/published-form.js';
import type { Failure, FromWorker, ToWorker } from './messages.js';
import type { TabModel } from './tab-model.js';

// Before any schema is made: a strict policy forbids to compile them.
config({ jitless: true });
// Browsers had WebGPU before they had these.
const symbols = Symbol as { dispose?: symbol; asyncDispose?: symbol };
symbols.dispose ??= Symbol('Symbol.dispose');
symbols.asyncDispose ??= Symbol('Symbol.asyncDispose');

const parts = Promise.all([import('./model-files.js'), import('./tab-model.js')]);
let found: { readonly base: URL; readonly manifest: PublishedManifest } | undefined;
let model: TabModel | undefined;
let stopping: AbortController | undefined;

const say = (message: FromWorker): void => postMessage(message);

function failureOf(error: unknown): Failure {
  const { code, message, remedy } = error as { readonly code?: unknown; readonly message?: unknown; readonly remedy?: unknown };
  return {
    ...(typeof code === 'string' && { code }),
    message: typeof message === 'string' ? message : String(error),
    ...(typeof remedy === 'string' && { remedy }),
  };
}

async function find(base: URL): Promise<void> {
  const [{ fetchManifest }] = await parts;
  const manifest = await fetchManifest(base);
  found = { base, manifest };
  const bytes = Object.entries(manifest.files).reduce((sum, [name, file]) => sum + (isLoaded(name) ? file.bytes : 0), 0);
  say({ kind: 'found', manifest, bytes });
}

/** Rows are read as they are needed, the page is there. */
const isLoaded = (name: string) => /^(decoder\.safetensors$|tokenizer\.json$|fgrams\/)/.test(name);

async function load(): Promise<void> {
  if (found === undefined) throw new Error('unreachable: the page loads what was found');
  const [, { openTabModel }] = await parts;
  model = await openTabModel(found.base, found.manifest, (bytes) => say({ kind: 'loading', bytes }));
  const { adapter, uncached } = model;
  say({ kind: 'ready', adapter, ...(uncached !== undefined && { uncached }), traffic: model.traffic() });
  const message = await model.lost;
  say({ kind: 'lost', failure: { code: 'DEVICE_LOST', message } });
}

async function generate(request: Extract<ToWorker, { kind: 'generate' }>['request']): Promise<void> {
  if (model === undefined) throw new Error('unreachable: the page asks for text when the model is ready');
  stopping = new AbortController();
  const { signal } = stopping;
  let text = '';
  try {
    for await (const event of model.generate(request, signal)) {
      if (event.kind === 'prompt') say(event);
      else {
        if (event.kind === 'end') text = event.text;
        say({ ...event, traffic: model.traffic() });
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    say({ kind: 'end', reason: 'stopped', text, traffic: model.traffic() });
  }
}

const report = (work: Promise<void>): void => void work.catch((error: unknown) => say({ kind: 'failed', failure: failureOf(error) }));

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === 'find') report(find(new URL(data.base)));
  else if (data.kind === 'load') report(load());
  else if (data.kind === 'generate') report(generate(data.request));
  else stopping?.abort();
};
