/** The variants of rows: each starts as the baseline, has the gradients of its definition, and gives through stored rows what it gives in training. */
import { decoderLosses, decoderShapes, initialValues } from '@sconelm/decoder';
import { type Device, grad, hostTensor, interpret, openDevice, type Tensor, tensor } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  allocateModel,
  batchForest,
  batchInputs,
  createModel,
  embed,
  evaluate,
  type FgramModelConfig,
  fgramModelConfigSchema,
  fgramRows,
  fgramShapes,
  precompute,
  RESIDUAL,
  residualOf,
  residualShapes,
} from './index.js';

const [V, K, T, B, D] = [7, 3, 8, 2, 8];
const decoder = { vocabSize: V, contextLength: T, layers: 1, width: D, heads: 2 };
const base: FgramModelConfig = { maxLength: K, layers: 1, width: D, heads: 2, unit: 0.05, finalNorm: false };

// Every pair and triple of tokens below 5, by rank.
const small = [0, 1, 2, 3, 4];
const fgrams = [
  ...small.flatMap((a) => small.map((b) => [a, b])),
  ...small.flatMap((a) => small.flatMap((b) => small.map((c) => [a, b, c]))),
];
const rank = new Map(fgrams.map((fgram, id) => [fgram.join(), id]));
const S = fgrams.length;

const variants: [string, FgramModelConfig][] = [
  ['replace', base],
  ['add', { ...base, combine: 'add' }],
  ['gated', { ...base, combine: 'gated' }],
  ['own token table', { ...base, ownTable: true }],
  ['table', { ...base, layers: 0, residualRows: S }],
  ['residual rows', { ...base, residualRows: S }],
  ['residual rows of the most frequent, gated', { ...base, combine: 'gated', residualRows: 30 }],
];

const matcher = () => {
  let before: number[] = [];
  return {
    length: 1,
    push(token: number) {
      before = [...before, token].slice(-K);
      for (let length = before.length; length >= 2; length--) {
        const id = rank.get(before.slice(-length).join());
        if (id === undefined) continue;
        this.length = length;
        return id;
      }
      this.length = 1;
      return -1;
    },
    reset: () => {
      before = [];
    },
  };
};

const tokens = Int32Array.from({ length: B * T + 1 }, (_, i) => (i * i + (i >> 2)) % V);
function batch(config: FgramModelConfig) {
  const ids = new Int32Array(B * T);
  const lengths = new Uint8Array(B * T);
  const m = matcher();
  for (let i = 0; i < B * T; i++) {
    if (i % T === 0) m.reset();
    ids[i] = m.push(tokens[i]);
    lengths[i] = m.length;
  }
  expect([...ids].some((id) => id >= 30)).toBe(true);
  expect([...ids].some((id) => id >= 0 && id < 30)).toBe(true);
  return {
    ...batchInputs(batchForest(tokens.subarray(0, B * T), lengths, T, K, { bucket: 8, ids }), [B, T], config),
    targets: hostTensor(tokens.slice(1), [B, T]),
  };
}
type Inputs = { [K in keyof ReturnType<typeof batch>]: Tensor };

const lossOf = (x: Inputs, p: (name: string) => Tensor, config: FgramModelConfig, residual?: Tensor) =>
  decoderLosses(embed(fgramRows(x, p, config, residual), x, p), x.targets, p, decoder).mean();

/** Values far from the start, so that every branch counts. */
function randomValues(config: FgramModelConfig): Map<string, Float32Array<ArrayBuffer>> {
  const shapes = { ...decoderShapes(decoder), ...fgramShapes(config, V), ...residualShapes(config) };
  return initialValues(shapes, { layers: 1, seed: 5, scale: 0.3 });
}

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

describe.each(variants)('rows by %s', (_, config) => {
  it('start as the baseline', async () => {
    using model = createModel(device, { decoder, fgram: fgramModelConfigSchema.parse(config) }, { seed: 1 });
    const withRows = await evaluate(device, model, tokens, { matcher: matcher(), rows: 'model' });
    const plain = await evaluate(device, model, tokens);
    expect(Math.abs(withRows.loss - plain.loss)).toBeLessThan(1e-5);
  });

  it('have the gradients of central differences, on the device too', async () => {
    const values = randomValues(config);
    const shapes = { ...decoderShapes(decoder), ...fgramShapes(config, V), ...residualShapes(config) };
    const names = Object.keys(shapes);
    const inputs = batch(config);
    const constants = Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, tensor(data, shape)])) as Inputs;
    const lossAt = (name: string, direction: Float32Array, step: number) => {
      const moved = values.get(name)!.map((value, i) => value + step * direction[i]);
      const at = (other: string) => tensor(other === name ? moved : values.get(other)!, shapes[other].shape);
      return Number(interpret([lossOf(constants, at, config)], { precision: 'f64' })[0][0]);
    };
    using model = allocateModel(device, { decoder, fgram: config });
    for (const variable of model.variables) variable.write(values.get(variable.name)!);
    using program = device.compile((x: Inputs) => {
      const residual = residualOf(x, model.parameters, config);
      const gradients = grad(lossOf(x, model.parameters, config, residual), [
        ...model.dense.names.map(model.parameters),
        ...(residual === undefined ? [] : [residual]),
      ]);
      const outputs = Object.fromEntries(model.dense.names.map((name, i) => [name, gradients[i]]));
      return {
        outputs: (residual === undefined
          ? outputs
          : { ...outputs, [RESIDUAL]: gradients[model.dense.names.length].scatterRows(x.nodeIds, config.residualRows ?? 0) }) as Record<
          string,
          Tensor
        >,
      };
    });
    const results = program.run(inputs);
    expect(names).toEqual(model.variables.map(({ name }) => name));
    for (const name of names) {
      const gradient = (await results[name].data()) as Float32Array;
      const norm = Math.hypot(...gradient);
      // Along the gradient itself, and along a direction that has nothing to do with it.
      for (const direction of [gradient.map((value) => value / (norm || 1)), gradient.map((_, i) => Math.sin(1 + i * i))]) {
        const step = 1e-3 / Math.max(1, Math.hypot(...direction));
        const expected = (lossAt(name, direction, step) - lossAt(name, direction, -step)) / (2 * step);
        const actual = gradient.reduce((sum, value, i) => sum + value * direction[i], 0);
        expect(Math.abs(actual - expected), `${name}: ${actual} and ${expected}`).toBeLessThan(1e-4 + 1e-3 * Math.abs(expected));
      }
      // Of a key's bias softmax takes nothing, which the parameter has among others; all the rest has a gradient.
      expect(norm, name).toBeGreaterThan(1e-6);
    }
  });

  it('give through precomputed rows what they give in training', async () => {
    using model = allocateModel(device, { decoder, fgram: config });
    const values = randomValues(config);
    for (const variable of model.variables) variable.write(values.get(variable.name)!);
    const table = new Float32Array(S * D);
    const set = { size: S, tokensOf: (id: number) => Uint32Array.from(fgrams[id]) };
    await precompute(device, set, model, config, {
      write: async (ids, rows) => {
        for (const [i, id] of ids.entries()) table.set(rows.subarray(i * D, (i + 1) * D), id * D);
      },
    });
    // By parts and a few at a time, what is there left out: the same bits.
    const parts = new Float32Array(S * D).fill(NaN);
    const has = new Set([3, S - 1]);
    for (const id of has) parts.set(table.subarray(id * D, (id + 1) * D), id * D);
    const sink = {
      has: (id: number) => has.has(id),
      write: async (ids: Uint32Array, rows: Float32Array) => {
        for (const [i, id] of ids.entries()) {
          expect(has.has(id)).toBe(false);
          has.add(id);
          parts.set(rows.subarray(i * D, (i + 1) * D), id * D);
        }
      },
    };
    for (const range of [
      { from: 0, to: 40 },
      { from: 40, to: S },
    ])
      await precompute(device, set, model, config, sink, { range, chunk: 7 });
    expect(parts).toEqual(table);
    const store = {
      read: (ids: Uint32Array, into: Float32Array) => {
        for (const [i, id] of ids.entries()) into.set(table.subarray(id * D, (id + 1) * D), i * D);
      },
    };
    const trained = await evaluate(device, model, tokens, { matcher: matcher(), rows: 'model' });
    const stored = await evaluate(device, model, tokens, { matcher: matcher(), rows: store });
    expect(Math.abs(trained.loss - stored.loss)).toBeLessThan(1e-5);
    const plain = await evaluate(device, model, tokens);
    expect(Math.abs(trained.loss - plain.loss)).toBeGreaterThan(1e-3);
  });
});

it('a configuration of nothing to combine, or without rows, is refused', () => {
  const refused = (config: unknown) => fgramModelConfigSchema.safeParse(config).error?.issues.map(({ path }) => path.join());
  expect(refused({ ...base, layers: 0 })).toEqual(['residualRows']);
  expect(refused({ ...base, layers: 0, residualRows: 3, combine: 'add' })).toEqual(['combine']);
  expect(refused({ ...base, finalNorm: true, combine: 'gated' })).toEqual(['finalNorm']);
  expect(refused({ ...base, combine: 'add', residualRows: 3 })).toBeUndefined();
});
