import { describe, expect, it } from 'vitest';
import { allOf } from '../testing/events.js';
import { type HashingOptions, hashingDecoder, slowNowAndThen } from '../testing/hashing-decoder.js';
import { Engine } from './engine.js';
import { FairQueue } from './fair-queue.js';

const V = 13;
const C = 48;

const decoderOf = (slots: number, options: Partial<HashingOptions> = {}) =>
  hashingDecoder({ slots, vocabSize: V, contextLength: C, wait: slowNowAndThen(), ...options });

describe('the engine', () => {
  it('goes on from what an owner’s last sequence left, and from nobody else’s', async () => {
    const engine = new Engine(decoderOf(2));
    const prompt = Array.from({ length: 20 }, (_, i) => i % V);
    const ask = (owner: string, tokens: readonly number[]) =>
      allOf(engine.generate({ prompt: tokens, maxTokens: 4, sampling: { temperature: 0 }, stopTokens: new Set(), owner }));
    const first = await ask('a', prompt);
    expect(engine.status).toMatchObject({ prefixQueries: 20, prefixHits: 0 });
    expect(await ask('a', prompt)).toEqual(first);
    expect(engine.status).toMatchObject({ prefixQueries: 40, prefixHits: 16 });
    expect(await ask('b', prompt)).toEqual(first);
    expect(engine.status).toMatchObject({ prefixQueries: 60, prefixHits: 16 });
    const said = first.flatMap((event) => ('token' in event ? [event.token as number] : []));
    await ask('a', [...prompt, ...said, 1, 2]);
    // Whole blocks: the last token that was chosen was never read.
    expect(engine.status.prefixHits).toBe(16 + 20);
  });

  it('counts a prompt once, however often its sequence gave way: each token was read or came from the cache', async () => {
    const engine = new Engine(decoderOf(3, { blocks: 14 }), { chunk: 5 });
    const prompts = Array.from({ length: 9 }, (_, i) => Array.from({ length: 6 + (i % 3) * 7 }, (_, at) => (at * (1 + (i % 2))) % V));
    const ask = (prompt: number[]) => allOf(engine.generate({ prompt, maxTokens: 20, sampling: { seed: 1 }, stopTokens: new Set() }));
    await Promise.all(prompts.map(ask));
    const { preemptions, prefixQueries, prefixHits, promptTokens } = engine.status;
    expect(preemptions).toBeGreaterThan(3);
    expect(prefixHits).toBeGreaterThan(0);
    expect([prefixQueries, promptTokens + prefixHits]).toEqual([prompts.flat().length, prompts.flat().length]);
  });

  it('keeps to the prompt it was given, though who asked goes on to use his list', async () => {
    const engine = new Engine(decoderOf(1));
    const tokens = [1, 2, 3];
    const kinds: string[] = [];
    for await (const event of engine.generate({ prompt: tokens, maxTokens: 4, sampling: {}, stopTokens: new Set() })) {
      kinds.push(event.kind);
      if (event.kind === 'token') tokens.push(event.token);
    }
    expect(kinds).toEqual(['token', 'token', 'token', 'token', 'end']);
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

  it('a long prompt that is read in pieces holds nobody up: who generates gets a token at every step', async () => {
    const engine = new Engine(decoderOf(2), { chunk: 2 });
    const request = (prompt: number[], maxTokens: number) => ({ prompt, maxTokens, sampling: {}, stopTokens: new Set<number>() });
    // The first slot becomes free again, so that the long prompt is seated before the one that generates.
    const [, writer] = [allOf(engine.generate(request([3], 1))), engine.generate(request([1], 40))];
    await writer.next();
    const reading = allOf(
      engine.generate(
        request(
          Array.from({ length: 40 }, () => 2),
          1,
        ),
      ),
    );
    const { steps } = engine.status;
    for (let i = 0; i < 15; i++) await writer.next();
    expect(engine.status.steps - steps).toBeLessThanOrEqual(16);
    await Promise.all([reading, allOf(writer)]);
  });

  it('a sequence that fails does not take others with it', async () => {
    const engine = new Engine(decoderOf(2, { failAt: (tokens) => tokens[0] === 7 }));
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
