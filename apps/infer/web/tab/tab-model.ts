/** A published model at work in a worker: the engine of the command line, on the browser's WebGPU, its rows read by ranges. */
import { decoderShapes, loadSafetensors, Weights } from '@sconelm/decoder';
import { type FgramSet, fetchFgrams } from '@sconelm/ngram-miner/fgrams';
import { Tokenizer } from '@sconelm/ngram-miner/tokenizer';
import { openStore, type RowStore } from '@sconelm/offload-store';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { batchDecoder } from '../../src/engine/batch-decoder.js';
import { type CompletionEvent, complete } from '../../src/engine/completion.js';
import { Engine } from '../../src/engine/engine.js';
import type { TokenScore } from '../../src/engine/request.js';
import { InferError } from '../../src/errors.js';
import { type TokenMatch, tokenMatcher } from '../../src/matches.js';
import { formatOf, PUBLISHED, type PublishedManifest } from '../../src/published-form.js';
import { promptTokens } from '../../src/text/prompt.js';
import type { ShownToken } from '../components/token.js';
import type { PromptRequest, Traffic } from './messages.js';
import { ModelFiles } from './model-files.js';

/** Alternatives told of each token. */
const ALTERNATIVES = 5;

export type TabEvent =
  | { readonly kind: 'prompt'; readonly tokens: readonly ShownToken[] }
  | { readonly kind: 'token'; readonly token: ShownToken; readonly ms: number }
  | { readonly kind: 'end'; readonly reason: 'stop' | 'length'; readonly text: string };

export interface TabModel extends Disposable {
  readonly adapter: string;
  /** Why the files are not kept for the next visit. */
  readonly uncached: string | undefined;
  /** Settles when the GPU is gone; not when the model is disposed. */
  readonly lost: Promise<string>;
  traffic(): Traffic;
  /** @throws the typed error of the part that fails; the signal's reason */
  generate(request: PromptRequest, signal: AbortSignal): AsyncGenerator<TabEvent, void>;
}

/** @param onBytes called with the bytes of the model's files so far @throws the typed error of the part that is missing, damaged or cannot run here */
export async function openTabModel(base: URL, manifest: PublishedManifest, onBytes: (bytes: number) => void): Promise<TabModel> {
  const disposables: Disposable[] = [];
  const keep = <T extends Disposable>(part: T): T => {
    disposables.push(part);
    return part;
  };
  const dispose = () => {
    for (const part of disposables.reverse()) part[Symbol.dispose]();
  };
  try {
    const device = keep(await openDevice());
    const files: ModelFiles = new ModelFiles(base, manifest, () => onBytes(files.network + files.cached));
    const weights = keep(new Weights(device, decoderShapes(manifest.decoder), formatOf(manifest.weights)));
    loadSafetensors(await files.read(PUBLISHED.weights), weights.stored, PUBLISHED.weights);
    const model = { config: { decoder: manifest.decoder }, parameters: weights.parameters };
    const tokenizer = Tokenizer.parse(new TextDecoder().decode(await files.read(PUBLISHED.tokenizer)));
    const fgrams = manifest.fgrams === undefined ? undefined : await openFgrams(base, manifest, files);
    if (fgrams !== undefined) disposables.push({ [Symbol.dispose]: () => void fgrams.rows.close() });
    const forSequence = fgrams && (() => ({ matcher: fgrams.set.matcher(tokenizer.endOfText), rows: fgrams.rows }));
    const decoder = keep(batchDecoder(device, model, { slots: 1, fgramsOf: forSequence }));
    const engine = new Engine(decoder);
    const { contextLength } = manifest.decoder;
    return {
      adapter: device.info.description || `${device.info.vendor} ${device.info.architecture}`,
      uncached: files.uncached,
      lost: lossOf(device),
      traffic: () => ({ network: files.network, cached: files.cached, ...(fgrams && { rows: rowTraffic(fgrams.rows) }) }),
      async *generate({ prompt, maxTokens, ...sampling }, signal) {
        const tokens = promptTokens(tokenizer, prompt, contextLength);
        const matchOf = tokenMatcher(fgrams?.set, tokenizer);
        // The token that opens the text is none of the reader's.
        yield { kind: 'prompt', tokens: tokens.map((token) => ({ ...shown(matchOf(token)), given: true })).slice(1) };
        const events = complete(engine, tokenizer, {
          prompt: tokens,
          maxTokens: Math.min(maxTokens, contextLength - tokens.length),
          sampling,
          stopTokens: new Set(manifest.stopTokens),
          stopStrings: [],
          alternatives: ALTERNATIVES,
          signal,
        });
        yield* shownEvents(events, tokenizer, matchOf);
      },
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

async function* shownEvents(
  events: AsyncGenerator<CompletionEvent, void>,
  tokenizer: Tokenizer,
  matchOf: (token: number) => TokenMatch,
): AsyncGenerator<TabEvent, void> {
  let text = '';
  let last = performance.now();
  for await (const event of events) {
    if (event.kind === 'prompt') continue;
    text += event.text;
    if (event.kind === 'end') yield { kind: 'end', reason: event.reason, text };
    else {
      const now = performance.now();
      yield { kind: 'token', token: shown(matchOf(event.token), event.score, tokenizer), ms: now - last };
      last = now;
    }
  }
}

function shown({ text, fgram }: TokenMatch, score?: TokenScore, tokenizer?: Tokenizer): ShownToken {
  return {
    text,
    ...(fgram && { fgram: { length: fgram.length, text: fgram.text, rank: fgram.id + 1, count: fgram.count } }),
    ...(score &&
      tokenizer && {
        loss: -score.logProbability,
        alternatives: score.top.map((other) => ({ text: tokenizer.tokenText(other.token), probability: Math.exp(other.logProbability) })),
      }),
  };
}

/** The set, and the store of its rows, checked to belong to this model. */
async function openFgrams(
  base: URL,
  manifest: PublishedManifest,
  files: ModelFiles,
): Promise<{ readonly set: FgramSet; readonly rows: RowStore }> {
  const folder = new URL(PUBLISHED.fgrams, base).href;
  const fetch = async (url: string) => new Response(await files.read(`${PUBLISHED.fgrams}${url.slice(folder.length)}`));
  const set = await fetchFgrams(folder, { fetch });
  if (set.hash !== manifest.fgrams?.hash)
    throw new InferError('RUN_MIXED', `${folder} has other f-grams than this model`, 'Publish the folder again.');
  const rows = await openStore(new URL(PUBLISHED.rows, base).href, { expect: { fgrams: set.hash, model: manifest.fingerprint } });
  return { set, rows };
}

function rowTraffic({ metrics: { backend, reads, seconds } }: RowStore): NonNullable<Traffic['rows']> {
  return { bytes: backend.bytesReceived, requests: backend.requests, reads, readMs: 1000 * seconds };
}

/** A device that was disposed is not lost. */
function lossOf(device: Device): Promise<string> {
  return new Promise((resolve) => {
    void device.gpu.lost.then(() => {
      try {
        device.expectHealthy();
      } catch (error) {
        if ((error as { readonly code?: unknown }).code === 'DEVICE_LOST') resolve((error as Error).message);
      }
    });
  });
}
