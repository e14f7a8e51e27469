import { describe, expect, test } from 'vitest';
import { type DecoderConfig, formatCost, inferenceFlopsPerToken, modelCost, parseDecoderConfig, presetOf, presets } from './index.js';

/** What models are published with: SCONE's own tables by its formula, the others by the tensors of their repositories. */
const published: Readonly<Record<string, number>> = {
  'gpt2-124M': 124_439_808,
  'gpt2-355M': 354_823_168,
  'scone-webtext-128M': 128e6,
  'scone-webtext-204M': 204e6,
  'scone-webtext-419M': 419e6,
  'scone-webtext-589M': 589e6,
  'scone-webtext-759M': 759e6,
  'scone-webtext-1099M': 1099e6,
  'scone-olmo-0.7B': 0.7e9,
  'scone-olmo-1B': 1e9,
  'scone-olmo-1.3B': 1.3e9,
  'scone-olmo-1.9B': 1.9e9,
  'smollm2-135M': 134_515_008,
  'smollm2-360M': 361_821_120,
  'smollm2-1.7B': 1_711_376_384,
  'llama3.2-1B': 1_235_814_400,
  'qwen2.5-0.5B': 494_032_768,
  'qwen3-0.6B': 596_049_920,
  'olmo-1B': 1_176_764_416,
  'olmo2-1B': 1_484_916_736,
};

test.each(Object.entries(published))('%s has as many parameters as are published', (name, count) => {
  const config = presetOf(name);
  const { parameters } = modelCost({ decoder: config });
  if (!name.startsWith('scone')) return expect(parameters).toBe(count);
  // The tables are rounded: to a million in the names of the one, to two digits in those of the other.
  const unit = name.includes('webtext') ? 1e6 : 1e8;
  expect(Math.round(parameters / unit) * unit).toBe(count);
  const { layers: L, width: d, vocabSize: V, contextLength: C } = config;
  expect(parameters).toBe(L * (12 * d ** 2 + 13 * d) + V * d + C * d + 2 * d);
});

test.each(Object.entries(presets))('%s is a valid configuration of the size in its name', (name, config) => {
  expect(parseDecoderConfig(config)).toEqual(config);
  const [, digits, unit] = /-([\d.]+)([MB])$/.exec(name)!;
  const named = Number(digits) * (unit === 'M' ? 1e6 : 1e9);
  // Names of others count now with embeddings, now without: 1.24B and 1.48B are called 1B.
  expect(modelCost({ decoder: config }).parameters / named).toBeGreaterThan(0.85);
  expect(modelCost({ decoder: config }).parameters / named).toBeLessThan(1.5);
});

test('a preset that is not there is refused with the names that are', () => {
  for (const name of ['gpt-5', 'toString', '__proto__']) {
    expect(() => presetOf(name)).toThrow(expect.objectContaining({ code: 'MODEL_CONFIG', remedy: expect.stringContaining('gpt2-124M') }));
  }
});

describe('the cost of a model', () => {
  const config: DecoderConfig = { vocabSize: 1000, contextLength: 128, layers: 2, width: 64, heads: 4 };
  test('counts what a forward pass multiplies, written out', () => {
    const attention = 2 * (64 * 192 + 64 * 64) + 2 * 2 * 64 * 64; // projections; scores and mixtures over half of 128 positions
    const mlp = 2 * (64 * 256 + 256 * 64);
    expect(inferenceFlopsPerToken(config)).toBe(2 * (attention + mlp) + 2 * 1000 * 64);
    const grouped: DecoderConfig = {
      ...config,
      keyValueHeads: 2,
      headDim: 32,
      mlp: 'swiglu',
      mlpWidth: 100,
      mlpBias: false,
      rotary: { base: 1e4 },
    };
    const groupedAttention = 2 * (64 * 128 + 2 * 64 * 64 + 128 * 64) + 2 * 2 * 64 * 128;
    expect(inferenceFlopsPerToken(grouped)).toBe(2 * (groupedAttention + 2 * 3 * 64 * 100) + 2 * 1000 * 64);
  });
  test('adds the f-gram model to training, and the rows to the store', () => {
    const shapes = {
      'fgram.pos.weight': { shape: [4, 64] },
      'fgram.h.0.mlp.up.weight': { shape: [64, 256] },
      'fgram.gain': { shape: [1] },
    };
    const plain = modelCost({ decoder: config });
    const scone = modelCost({ decoder: config, fgram: { shapes, nodesPerToken: 1.5 }, rows: { count: 1e7, rowBytes: 128 }, tokens: 1e9 });
    expect(scone.trainingFlops).toBe(scone.trainingFlopsPerToken * 1e9);
    expect(scone.parameters).toBe(plain.parameters);
    expect(scone.inferenceBytes).toBe(plain.inferenceBytes);
    expect(scone.inferenceFlopsPerToken).toBe(plain.inferenceFlopsPerToken);
    expect(scone.fgramParameters).toBe(4 * 64 + 64 * 256 + 1);
    expect(scone.trainingFlopsPerToken).toBe(plain.trainingFlopsPerToken + 3 * 1.5 * 2 * 64 * 256);
    expect(scone.trainingBytes).toBe(16 * (plain.parameters + scone.fgramParameters));
    expect(scone.storeBytes).toBe(1.28e9);
    expect(plain.inferenceBytes).toBe(4 * plain.parameters + 2 * 128 * 2 * 64 * 4);
  });
  test('is said in three digits', () => {
    const text = formatCost(modelCost({ decoder: presetOf('scone-olmo-1B'), rows: { count: 1e7, rowBytes: 4096 } }));
    expect(text).toMatch(/^parameters +1\.01 G$/m);
    expect(text).toMatch(/^store +41\.0 GB$/m);
  });
});
