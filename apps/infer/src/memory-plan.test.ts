import { describe, expect, it } from 'vitest';
import { type PlanInputs, planMemory } from './memory-plan.js';

const fgram = { layers: 1, width: 64, heads: 2, maxLength: 3, unit: 1, finalNorm: true };
const decoder = { vocabSize: 128, contextLength: 32, layers: 1, width: 64, heads: 2 };
const inputs: PlanInputs = {
  config: { decoder, fgram },
  weights: 'f32',
  damagedRows: 'error',
  missingRows: 'error',
  verifies: false,
  slots: 1,
  kvMemoryBytes: undefined,
  hotRows: 0,
  cacheRows: 0,
  maxBufferBytes: 2 ** 30,
  maxBindingBytes: 2 ** 27,
};

describe('the plan', () => {
  it('counts the model that computes rows whenever serving loads it', () => {
    const plain = planMemory(inputs).weightBytes;
    const [first, ...others] = [{ damagedRows: 'recompute' as const }, { missingRows: 'recompute' as const }, { verifies: true }].map(
      (asked) => planMemory({ ...inputs, ...asked }).weightBytes - plain,
    );
    expect(first).toBeGreaterThan(plain);
    expect(others).toEqual([first, first]);
    expect(planMemory({ ...inputs, damagedRows: 'fallback' }).weightBytes).toBe(plain);
    expect(planMemory({ ...inputs, config: { decoder }, verifies: true }).weightBytes).toBe(plain);
  });

  it('names a quantised matrix that is more than the adapter binds, and formats that do fit', () => {
    const large = { ...inputs, config: { decoder: { ...decoder, vocabSize: 128_256, width: 2048, heads: 16 } }, maxBufferBytes: 2 ** 31 };
    const told = (weights: PlanInputs['weights'], limits: Partial<PlanInputs> = {}) =>
      planMemory({ ...large, ...limits, weights }).problems;
    expect(told('int8')).toEqual([
      expect.stringMatching(/^tok\.weight in int8 takes 262668288 bytes, .* 134217728: use --weights f32 or int4$/),
    ]);
    expect([...told('f32'), ...told('int4')]).toEqual([]);
    const small = { maxBufferBytes: 2 ** 30 };
    expect(told('f32', small)).toEqual([expect.stringMatching(/^weights of \d+ bytes .*: use --weights int4$/)]);
    expect(told('int8', { maxBufferBytes: 2 ** 30, maxBindingBytes: 2 ** 26 })).toEqual([expect.stringContaining('use a smaller model')]);
  });

  it('does not advise quantised weights where the model that computes rows is too large', () => {
    const { problems } = planMemory({ ...inputs, weights: 'int4', verifies: true, maxBufferBytes: 200_000 });
    expect(problems).toEqual([expect.stringMatching(/^the model that computes rows takes .*: leave out/)]);
  });
});
