/** The routes behind the inspector's page: few, and each asked as the others are, with a key where there are keys. */
import { runPaths } from '@sconelm/fgram-model';
import type { RowStore } from '@sconelm/offload-store';
import { stream } from 'hono/streaming';
import { z } from 'zod';
import type { GenerationEvent } from '../engine/request.js';
import { encodePrompt } from '../server/choices.js';
import { Client } from '../server/client.js';
import { asHttpError, badRequest, HttpError } from '../server/errors.js';
import type { Metrics } from '../server/metrics.js';
import { parseParameters } from '../server/parameters.js';
import { type AppContext, bodyOf, type Route } from '../server/route.js';
import type { ServedModel, ServerState } from '../server/served-model.js';
import { summarizeFgrams } from './fgram-summary.js';
import { inspectGeneration } from './inspect-generation.js';
import { inspectText } from './inspect-text.js';
import type { GenerateMessage, Status } from './messages.js';
import { listRuns, readEvaluation, readRun } from './runs.js';
import { searchFgrams } from './search-fgrams.js';

/** Tokens of a text that is inspected: each is read twice. */
const MOST_TOKENS = 4096;

const fgramLimit = z.int().min(1).max(8).optional().describe('Tokens of the longest f-gram that may stand in; 1: none. Absent: no limit.');
const alternatives = z.int().min(0).max(20).default(5).describe('So many of the likeliest tokens at each place.');

export const generateSchema = z.strictObject({
  prompt: z.string().describe('Opened by the end-of-text token, as documents are in training.'),
  max_tokens: z.int().min(1).default(64).describe('Tokens to generate at most; fewer where the context ends.'),
  temperature: z.number().min(0).max(100).default(0.8).describe('0 is greedy.'),
  top_k: z.int().min(1).optional().describe('Only so many of the most likely tokens.'),
  seed: z.int().nonnegative().default(0).describe('The same seed gives the same text.'),
  fgram_limit: fgramLimit,
  alternatives,
});

export const textSchema = z.strictObject({
  text: z.string().min(1).describe('Cut into windows as long as the context.'),
  fgram_limit: fgramLimit,
  alternatives,
});

export const fgramSchema = z.strictObject({
  text: z.string().max(1000).default('').describe('F-grams that hold it; empty: all.'),
  from_rank: z.int().min(1).default(1).describe('The first rank that is looked at; 1 is the most frequent.'),
  limit: z.int().min(1).max(200).default(50).describe('F-grams told.'),
});

export interface InspectContext {
  readonly metrics: Metrics;
  readonly onError: (error: unknown, requestId: string) => void;
}

export function inspectRoutes(state: ServerState, { metrics, onError }: InspectContext): Route[] {
  return [
    {
      method: 'get',
      path: '/inspect/status',
      summary: 'For the inspector: the model, the queue and the store, in numbers of now',
      handle: (c) => c.json(statusOf(state.expectModel())),
    },
    {
      method: 'post',
      path: '/inspect/generate',
      summary: 'For the inspector: a generation as lines of JSON, each token with its f-gram, its loss and what else was likely',
      body: generateSchema,
      handle: async (c) => generate(c, state.expectModel(), parseParameters(generateSchema, await bodyOf(c)), { metrics, onError }),
    },
    {
      method: 'post',
      path: '/inspect/text',
      summary: 'For the inspector: the loss of each token of a text, with and without f-grams',
      body: textSchema,
      handle: async (c) => {
        const { text, alternatives, fgram_limit: fgramLimit } = parseParameters(textSchema, await bodyOf(c));
        const model = state.expectModel();
        if (text.length > MOST_TOKENS * 64) throw tooLong(`${text.length} characters`);
        const tokens = [model.tokenizer.endOfText, ...model.tokenizer.encode(text)];
        if (tokens.length > MOST_TOKENS) throw tooLong(`${tokens.length} tokens`);
        const client = new Client();
        client.watch(c.req.raw.signal);
        try {
          const asked = { fgramLimit, alternatives, owner: c.get('owner'), signal: client.signal };
          return c.json(await inspectText(model, tokens, new TextEncoder().encode(text).length, asked));
        } finally {
          client.release();
        }
      },
    },
    {
      method: 'get',
      path: '/inspect/fgrams',
      summary: 'For the inspector: what the f-gram set is made of',
      handle: async (c) => {
        const { fgrams, directory } = state.expectModel();
        const evaluation = directory === undefined ? undefined : await readEvaluation(runPaths(directory).evaluation);
        return c.json(summarizeFgrams(expectFgrams(fgrams), evaluation));
      },
    },
    {
      method: 'post',
      path: '/inspect/fgrams',
      summary: 'For the inspector: f-grams by rank, or those that hold a text',
      body: fgramSchema,
      handle: async (c) => {
        const { text, limit, from_rank: fromRank } = parseParameters(fgramSchema, await bodyOf(c));
        const { fgrams, tokenizer } = state.expectModel();
        return c.json(await searchFgrams(expectFgrams(fgrams), tokenizer, { text, limit, fromRank, signal: c.req.raw.signal }));
      },
    },
    {
      method: 'get',
      path: '/inspect/runs',
      summary: 'For the inspector: the served run and those beside it in its folder',
      handle: async (c) => {
        const { directory } = state.expectModel();
        return c.json(directory === undefined ? { runs: [] } : await listRuns(directory));
      },
    },
    {
      method: 'get',
      path: '/inspect/runs/:run',
      summary: 'For the inspector: curves, samples and evaluation of a run, as far as it is',
      handle: async (c) => {
        const { directory } = state.expectModel();
        const report = directory === undefined ? undefined : await readRun(directory, c.req.param('run') ?? '');
        if (report === undefined)
          throw new HttpError(404, 'run_not_found', 'there is no such run; GET /inspect/runs tells which there are');
        return c.json(report);
      },
    },
    {
      method: 'post',
      path: '/inspect/verify',
      summary: 'For the inspector: compares every row of the store with its checksums; /inspect/status tells how far it is',
      handle: async (c) => {
        const { store } = state.expectModel();
        if (store === undefined) throw new HttpError(404, 'store_missing', 'this model has no store');
        if (store.isFilling) throw new HttpError(409, 'store_incomplete', 'the store is being filled: its rows have no checksums yet');
        return c.json(await verify(store));
      },
    },
  ];
}

function expectFgrams<T>(fgrams: T | undefined): T {
  if (fgrams === undefined) throw new HttpError(404, 'fgrams_missing', 'this model has no f-grams');
  return fgrams;
}

function tooLong(what: string): HttpError {
  return badRequest('text', 'text_too_long', `the text has ${what}, which is more than ${MOST_TOKENS} tokens`);
}

function statusOf({ id, fingerprint, engine, fgrams, store, verified }: ServedModel): Status {
  const { contextLength, vocabSize, status } = engine;
  return {
    model: { id, fingerprint, contextLength, vocabSize, ...(fgrams && { fgrams: { size: fgrams.size, maxLength: fgrams.maxLength } }) },
    queue: status,
    ...(store && {
      store: { ...storeOf(store), ...(verified && { sample: { checked: verified.checked, mismatches: verified.mismatches } }) },
    }),
  };
}

/** Not its address: where a store lies is none of a client's business. */
function storeOf({ url, rows, width, dtype, rowBytes, isFilling, metrics }: RowStore): NonNullable<Status['store']> {
  return { scheme: url.slice(0, url.indexOf(':')), rows, width, dtype, rowBytes, isFilling, metrics };
}

interface Verification {
  readonly verifiedRows: number;
  readonly damage: string | null;
}

/** Under way: whoever asks meanwhile waits for the same one, and it goes on when he leaves. */
const verifications = new WeakMap<RowStore, Promise<Verification>>();

function verify(store: RowStore): Promise<Verification> {
  const known = verifications.get(store);
  if (known !== undefined) return known;
  const verification = verifyOnce(store).finally(() => verifications.delete(store));
  verifications.set(store, verification);
  return verification;
}

async function verifyOnce(store: RowStore): Promise<Verification> {
  const damage = await store.verify().then(
    () => null,
    (error) => {
      if (error?.code === 'STORE_CORRUPT') return 'rows do not match their checksums';
      throw error;
    },
  );
  return { verifiedRows: store.metrics.verifiedRows, damage };
}

/** Starts at once, so that what is wrong is a status of its own. */
function generate(
  c: AppContext,
  model: ServedModel,
  parameters: z.output<typeof generateSchema>,
  { metrics, onError }: InspectContext,
): Response {
  const { tokenizer, engine, fgrams, stopTokens } = model;
  const { tokens: prompt } = encodePrompt(model, parameters.prompt, true);
  const client = new Client();
  const { fgram_limit: fgramLimit, top_k: topK, temperature, seed } = parameters;
  const events = engine.generate({
    prompt,
    maxTokens: Math.max(1, Math.min(parameters.max_tokens, engine.contextLength - prompt.length)),
    sampling: { temperature, seed: seed >>> 0, ...(topK === undefined ? {} : { topK }) },
    stopTokens: new Set(stopTokens),
    alternatives: parameters.alternatives,
    scoresPrompt: true,
    tellsLookUps: true,
    fgramLimit,
    owner: c.get('owner'),
    signal: client.signal,
  });
  client.watch(c.req.raw.signal);
  c.header('content-type', 'application/x-ndjson; charset=utf-8');
  c.header('cache-control', 'no-cache');
  c.header('x-accel-buffering', 'no');
  return stream(c, async (out) => {
    out.onAbort(client.leave);
    const send = (message: GenerateMessage) => out.write(`${JSON.stringify(message)}\n`);
    try {
      const messages = inspectGeneration(counted(events, metrics), { tokenizer, fgrams, prompt, fgramLimit });
      for await (const message of messages) await send(message);
    } catch (error) {
      const isGone = client.signal.aborted;
      metrics.finish(isGone ? 'abort' : 'error');
      if (isGone) return;
      const told = asHttpError(error);
      if (told.status >= 500) onError(error, c.get('requestId'));
      await send({ kind: 'error', message: told.message });
    } finally {
      client.release();
    }
  });
}

async function* counted(events: AsyncIterable<GenerationEvent>, metrics: Metrics): AsyncGenerator<GenerationEvent, void> {
  let last = performance.now();
  let isFirst = true;
  for await (const event of events) {
    if (event.kind === 'token') {
      const now = performance.now();
      metrics.token(now - last, isFirst);
      [last, isFirst] = [now, false];
    } else if (event.kind === 'end') metrics.finish(event.reason, event.times);
    yield event;
  }
}
