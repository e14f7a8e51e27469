import fc from 'fast-check';
import { expect, it } from 'vitest';
import { times } from '../../../../tools/faults/random.mjs';
import { allOf } from '../testing/events.js';
import { type HashingOptions, hashingDecoder, slowNowAndThen } from '../testing/hashing-decoder.js';
import { Engine } from './engine.js';
import type { GenerationRequest } from './request.js';

const V = 13;
const C = 48;

const decoderOf = (slots: number, options: Partial<HashingOptions> = {}) =>
  hashingDecoder({ slots, vocabSize: V, contextLength: C, wait: slowNowAndThen(), ...options });

/** Blocks of four positions that hold one sequence of any length. */
const FULL = C / 4;

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

it('gives each request what it gives it alone, whoever joins and leaves beside it, however its prompt is cut, however little cache there is', async () => {
  const arrivals = fc.array(
    fc.record({ request: anyRequest, turnsBefore: fc.nat(4), leavesAfter: fc.option(fc.nat(5)), byAbort: fc.boolean() }),
    { minLength: 1, maxLength: 12 },
  );
  const sizes = fc.record({ slots: fc.integer({ min: 1, max: 4 }), chunk: fc.integer({ min: 1, max: 9 }), more: fc.nat(2 * FULL) });
  let preemptions = 0;
  await fc.assert(
    fc.asyncProperty(arrivals, sizes, async (all, { slots, chunk, more }) => {
      const decoder = decoderOf(slots, { blocks: FULL + more });
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
      expect(engine.status).toMatchObject({ running: 0, waiting: 0, usedBlocks: 0 });
      preemptions += engine.status.preemptions;
      expect(decoder.largestStep()).toBeLessThanOrEqual(chunk);
      for (const [i, { request }] of all.entries()) {
        if (together[i] === undefined) continue;
        expect(together[i]).toEqual(await allOf(new Engine(decoderOf(1)).generate(request)));
      }
    }),
    { numRuns: times(2000, 100_000) },
  );
  expect(preemptions).toBeGreaterThan(0);
});
