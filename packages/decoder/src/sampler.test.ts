import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adjustLogits, candidatesOf, largest, logSumExp, pick, Sampler, type SamplingOptions } from './index.js';

// Few distinct values, so that ties are common.
const logitsOf = fc.array(fc.oneof(fc.integer({ min: -4, max: 4 }), fc.double({ min: -20, max: 20, noNaN: true })), {
  minLength: 1,
  maxLength: 300,
});
const limits = fc.record(
  {
    temperature: fc.double({ min: 0.05, max: 4, noNaN: true }),
    topK: fc.integer({ min: 1, max: 320 }),
    topP: fc.double({ min: 0.01, max: 1, noNaN: true }),
    minP: fc.double({ min: 0, max: 1, noNaN: true }),
  },
  { requiredKeys: [] },
);

/** What temperature, min-p and top-k leave by their definitions, descending, with weights. */
function left(logits: Float32Array, { temperature = 1, topK = Infinity, minP = 0 }: SamplingOptions) {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  const weighed = order.map((token) => ({ token, weight: Math.exp((logits[token] - logits[order[0]]) / temperature) }));
  return weighed.filter(({ weight }) => weight > 0 && weight >= minP).slice(0, topK);
}

describe('largest', () => {
  it('is the head of the sorted order', () => {
    fc.assert(
      fc.property(logitsOf, fc.nat(320), (values, k) => {
        const sorted = values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
        expect([...largest(values, k)]).toEqual(sorted.slice(0, k));
      }),
    );
  });

  it('leaves out what is no number', () => {
    expect([...largest([NaN, 1, NaN, 2], 3)]).toEqual([3, 1]);
  });
});

describe('candidates', () => {
  it('are what temperature, min-p and top-k leave; top-p the fewest of those that reach its mass', () => {
    const massOf = (list: readonly { weight: number }[]) => list.reduce((sum, { weight }) => sum + weight, 0);
    fc.assert(
      fc.property(logitsOf, limits, (values, options) => {
        const logits = Float32Array.from(values);
        const { topP = 1 } = options;
        const whole = left(logits, options);
        const { tokens, weights } = candidatesOf(logits, options);
        const found = [...tokens]
          .map((token, i) => ({ token, weight: weights[i] }))
          .sort((a, b) => b.weight - a.weight || a.token - b.token);
        expect(found.map(({ token }) => token).sort()).toEqual(
          whole
            .slice(0, found.length)
            .map(({ token }) => token)
            .sort(),
        );
        if (topP === 1) expect(found.length).toBe(whole.length);
        expect(massOf(found)).toBeGreaterThanOrEqual(topP * massOf(whole) * (1 - 1e-9));
        expect(massOf(found.slice(0, -1))).toBeLessThanOrEqual(topP * massOf(whole) * (1 + 1e-9));
      }),
      { numRuns: 500 },
    );
  });

  it('are the first of the most likely ones when greedy', () => {
    fc.assert(
      fc.property(logitsOf, limits, (values, options) => {
        const logits = Float32Array.from(values);
        const best = logits.indexOf(logits.reduce((a, b) => Math.max(a, b), -Infinity));
        expect([...candidatesOf(logits, { ...options, temperature: 0 }).tokens]).toEqual([best]);
      }),
    );
  });

  it('of logits that are no numbers are an error', () => {
    expect(() => candidatesOf(new Float32Array([NaN, NaN]), {})).toThrow('the largest logit is NaN');
    expect(() => candidatesOf(new Float32Array([1, Infinity]), {})).toThrow('the largest logit is Infinity');
  });
});

describe('pick', () => {
  it('takes each candidate for the share of draws that is its weight', () => {
    const candidates = { tokens: Uint32Array.of(7, 3, 9), weights: Float64Array.of(1, 2, 5) };
    const counts = new Map<number, number>();
    for (let i = 0; i < 800; i++) {
      const token = pick(candidates, i / 800);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    expect([...counts]).toEqual([
      [7, 100],
      [3, 200],
      [9, 500],
    ]);
  });
});

describe('penalties and bias', () => {
  const nothing = { prompt: new Set<number>(), generated: new Map<number, number>() };
  const anyCounts = fc.record({
    prompt: fc.array(fc.nat(9)).map((tokens) => new Set(tokens)),
    generated: fc.array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 5 }))).map((pairs) => new Map(pairs)),
  });
  const penalties = fc.record({
    repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    logitBias: fc.array(fc.tuple(fc.nat(9), fc.integer({ min: -100, max: 100 }))).map((pairs) => new Map(pairs)),
  });

  it('change each logit by their formula and leave the given ones alone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 10, maxLength: 10 }),
        anyCounts,
        penalties,
        (values, counts, p) => {
          const logits = Float32Array.from(values);
          const adjusted = adjustLogits(logits, counts, p);
          expect([...logits]).toEqual(values);
          for (let token = 0; token < 10; token++) {
            const count = counts.generated.get(token) ?? 0;
            let expected = values[token] + (p.logitBias.get(token) ?? 0);
            if (count > 0 || counts.prompt.has(token)) expected *= expected > 0 ? 1 / p.repetitionPenalty : p.repetitionPenalty;
            if (count > 0) expected -= p.presencePenalty + p.frequencyPenalty * count;
            expect(adjusted[token]).toBeCloseTo(expected, 3);
          }
        },
      ),
    );
  });

  it('where there are none, copy nothing', () => {
    const logits = new Float32Array([1, 2]);
    expect(adjustLogits(logits, nothing, { repetitionPenalty: 1, logitBias: new Map() })).toBe(logits);
  });

  it('a bias of 100 forces a token, of −100 forbids it', () => {
    const logits = new Float32Array([3, 2, 1]);
    const next = (bias: readonly [number, number][]) => new Sampler({ logitBias: new Map(bias), seed: 4 }).next(logits);
    expect(next([[2, 100]])).toBe(2);
    expect(
      next([
        [0, -100],
        [1, -100],
      ]),
    ).toBe(2);
  });
});

describe('Sampler', () => {
  const draw = (options: SamplingOptions, logits = new Float32Array(50)) => {
    const sampler = new Sampler(options, [1, 2]);
    return Array.from({ length: 40 }, () => sampler.next(logits));
  };

  it('repeats itself with the same seed and not with another', () => {
    expect(draw({ seed: 5 })).toEqual(draw({ seed: 5 }));
    expect(draw({ seed: 5 })).not.toEqual(draw({ seed: 6 }));
  });

  it('counts what it chose: with a large presence penalty no token comes twice', () => {
    expect(new Set(draw({ seed: 1, presencePenalty: 1000 })).size).toBe(40);
    expect(new Set(draw({ seed: 1, temperature: 0, presencePenalty: 1000 })).size).toBe(40);
  });

  it('names a wrong option', () => {
    expect(() => new Sampler({ topP: 0 })).toThrow('topP is 0');
    expect(() => new Sampler({ temperature: NaN })).toThrow('temperature is NaN');
    expect(() => new Sampler({ minP: 2 })).toThrow('minP is 2');
    expect(() => new Sampler({ repetitionPenalty: 0 })).toThrow('repetitionPenalty is 0');
  });
});

it('log-sum-exp makes logits log-probabilities', () => {
  fc.assert(
    fc.property(logitsOf, (values) => {
      const logits = Float32Array.from(values);
      const total = logSumExp(logits);
      expect(logits.reduce((sum, logit) => sum + Math.exp(logit - total), 0)).toBeCloseTo(1, 9);
    }),
  );
});
