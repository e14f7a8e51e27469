import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashingDecoder } from '../testing/hashing-decoder.js';
import { Engine } from './engine.js';
import { FairQueue } from './fair-queue.js';
import type { GenerationEvent, GenerationRequest } from './request.js';

const V = 13;
const C = 48;

/** Every third step takes its time. */
function slowNowAndThen(): () => Promise<void> {
  let steps = 0;
  return async () => {
    steps += 1;
    if (steps % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
  };
}

const decoderOf = (slots: number, failAt: (tokens: readonly number[]) => boolean = () => false) =>
  hashingDecoder({ slots, vocabSize: V, contextLength: C, failAt, wait: slowNowAndThen() });

const anyRequest: fc.Arbitrary<GenerationRequest> = fc.record({
  // Many begin alike.
  prompt: fc
    .tuple(fc.nat(20), fc.array(fc.nat(V - 1), { minLength: 1, maxLength: 10 }))
    .map(([shared, own]) => [...Array.from({ length: shared }, (_, i) => (i * 5) % V), ...own]),
  maxTokens: fc.integer({ min: 0, max: 15 }),
  sampling: fc.record({ seed: fc.nat(5), temperature: fc.constantFrom(0, 1), repetitionPenalty: fc.constantFrom(1, 1.3) }),
  stopTokens: fc.constantFrom(new Set<number>(), new Set([3])),
  alternatives: fc.constantFrom(undefined, 0, 2),
  scoresPrompt: fc.boolean(),
  owner: fc.constantFrom('a', 'b'),
});

async function allOf(events: AsyncIterable<GenerationEvent>): Promise<object[]> {
  const all: object[] = [];
  for await (const event of events) all.push(event.kind === 'end' ? { kind: 'end', reason: event.reason } : event);
  return all;
}

describe('the engine', () => {
  it('gives each request what it gives it alone, whoever joins and leaves beside it, however its prompt is cut', async () => {
    const arrivals = fc.array(
      fc.record({ request: anyRequest, turnsBefore: fc.nat(4), leavesAfter: fc.option(fc.nat(5)), byAbort: fc.boolean() }),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(arrivals, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }), async (all, slots, chunk) => {
        const decoder = decoderOf(slots);
        const engine = new Engine(decoder, { chunk });
        const results = [];
        for (const { request, turnsBefore, leavesAfter, byAbort } of all) {
          for (let i = 0; i < turnsBefore; i++) await new Promise((resolve) => setImmediate(resolve));
          if (leavesAfter === null) results.push(allOf(engine.generate(request)));
          else {
            const abort = new AbortController();
            const events = engine.generate({ ...request, signal: abort.signal });
            results.push(
              (async () => {
                for (let i = 0; i < leavesAfter; i++) await new Promise((resolve) => setImmediate(resolve));
                if (byAbort) abort.abort(new Error('gone'));
                await events.return?.();
                return undefined;
              })(),
            );
          }
        }
        const together = await Promise.all(results);
        await engine.drain();
        expect(engine.status).toMatchObject({ running: 0, waiting: 0, cachePositions: 0 });
        expect(decoder.largestStep()).toBeLessThanOrEqual(chunk);
        for (const [i, { request }] of all.entries()) {
          if (together[i] === undefined) continue;
          expect(together[i]).toEqual(await allOf(new Engine(decoderOf(1)).generate(request)));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('goes on from what an owner’s last sequence left, and from nobody else’s', async () => {
    const engine = new Engine(decoderOf(2));
    const prompt = Array.from({ length: 20 }, (_, i) => i % V);
    const ask = (owner: string, tokens: readonly number[]) =>
      allOf(engine.generate({ prompt: tokens, maxTokens: 4, sampling: { temperature: 0 }, stopTokens: new Set(), owner }));
    const first = await ask('a', prompt);
    expect(engine.status).toMatchObject({ prefixQueries: 20, prefixHits: 0 });
    expect(await ask('a', prompt)).toEqual(first);
    expect(engine.status).toMatchObject({ prefixQueries: 40, prefixHits: 19 });
    expect(await ask('b', prompt)).toEqual(first);
    expect(engine.status).toMatchObject({ prefixQueries: 60, prefixHits: 19 });
    const said = first.flatMap((event) => ('token' in event ? [event.token as number] : []));
    await ask('a', [...prompt, ...said, 1, 2]);
    // The last token that was chosen was never read.
    expect(engine.status.prefixHits).toBe(19 + 20 + 3);
  });

  it('frees the slot of whoever leaves within a step, in the middle of a prompt too', async () => {
    const engine = new Engine(decoderOf(1), { chunk: 1 });
    const request = { prompt: Array.from({ length: 30 }, () => 1), maxTokens: 10, sampling: {}, stopTokens: new Set<number>() };
    const events = engine.generate(request);
    const first = events.next();
    while (engine.status.steps < 3) await new Promise((resolve) => setImmediate(resolve));
    const { steps } = engine.status;
    await events.return?.();
    expect(await first).toEqual({ done: true, value: undefined });
    await engine.drain();
    expect(engine.status.steps - steps).toBeLessThanOrEqual(1);
    expect(engine.status.running).toBe(0);
  });

  it('a sequence that fails does not take others with it', async () => {
    const engine = new Engine(decoderOf(2, (tokens) => tokens[0] === 7));
    const request = (first: number) => ({ prompt: [first, 1], maxTokens: 4, sampling: { seed: 1 }, stopTokens: new Set<number>() });
    const [bad, good] = [allOf(engine.generate(request(7))), allOf(engine.generate(request(2)))];
    await expect(bad).rejects.toThrow('the store is away');
    expect(await good).toHaveLength(5);
  });

  it('refuses what cannot fit, what is no token, and what would wait behind a full queue', async () => {
    const engine = new Engine(decoderOf(1), { maxWaiting: 2 });
    const request = { prompt: [1, 2], maxTokens: 3, sampling: {}, stopTokens: new Set<number>() };
    expect(() => engine.generate({ ...request, maxTokens: C - 1 })).toThrow(
      '2 tokens of prompt and 47 to generate are 49, the context has 48',
    );
    expect(() => engine.generate({ ...request, prompt: [1, V] })).toThrow(`${V} is no token of a vocabulary of ${V}`);
    expect(() => engine.generate({ ...request, prompt: [] })).toThrow('no tokens');
    const kept = [engine.generate(request), engine.generate(request)];
    expect(() => engine.generate(request)).toThrow('2 requests are waiting');
    await Promise.all(kept.map(allOf));
    await engine.drain();
    expect(() => engine.generate(request)).toThrow('no new requests');
  });

  it('aborted as a whole, tells everyone', async () => {
    const engine = new Engine(decoderOf(1));
    const request = { prompt: [1, 2], maxTokens: 40, sampling: {}, stopTokens: new Set<number>() };
    const all = [1, 2, 3].map(() => allOf(engine.generate(request)));
    const settled = Promise.allSettled(all);
    await new Promise((resolve) => setImmediate(resolve));
    await engine.abort();
    for (const { status } of await settled) expect(status).toBe('rejected');
    expect(engine.status).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe('the queue', () => {
  it('lets owners take turns, each in his own order', () => {
    const queue = new FairQueue<string>(10);
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.push(item[0], item);
    queue.remove('a', 'a2');
    expect(Array.from({ length: 6 }, () => queue.shift())).toEqual(['a1', 'b1', 'c1', 'a3', 'b2', undefined]);
  });
});
