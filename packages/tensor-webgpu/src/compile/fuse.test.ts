/** What runs together gives the bits of what runs apart, in fewer dispatches. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { TypedArray } from '../dtype.js';
import { grad } from '../graph/gradient.js';
import { isCpuWithSubgroups } from '../kernels/forms.js';
import { layerNorm } from '../ops/layer-norm.js';
import { rmsNorm } from '../ops/rms-norm.js';
import { writeRows } from '../ops/update.js';
import { type Tensor, tensor } from '../tensor.js';
import { update } from './compile.js';
import { type HostTensor, hostTensor } from './program.js';

const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.37 + i * seed + seed));

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

/** Outputs of a program that fuses and of one that does not, and the dispatches of both. */
async function bothWays<I extends Readonly<Record<string, Tensor>>>(
  on: Device,
  inputs: { readonly [K in keyof I]: HostTensor },
  build: (inputs: I) => Readonly<Record<string, Tensor>>,
): Promise<{ readonly results: readonly (readonly TypedArray[])[]; readonly dispatches: readonly number[] }> {
  const results: TypedArray[][] = [];
  const dispatches: number[] = [];
  for (const fuse of [true, false]) {
    using program = on.compile((given: I) => ({ outputs: build(given) }), { fuse });
    results.push(await Promise.all(Object.values(program.run(inputs)).map((result) => result.data())));
    dispatches.push(program.report(inputs).dispatches);
  }
  return { results, dispatches };
}

describe('fusing', () => {
  it.each([8, 6])('adds embeddings of %i columns where the second is gathered; rows that are not there are zeros', async (columns) => {
    const tables = [0, 1].map((seed) => tensor(numbers(5 * columns, seed), [5, columns]));
    const ids = { a: hostTensor(Int32Array.of(4, -1, 2)), b: hostTensor(Int32Array.of(1, 3, -1)) };
    const { results, dispatches } = await bothWays(device, ids, ({ a, b }: { a: Tensor; b: Tensor }) => ({
      y: tables[0].gatherRows(a).add(tables[1].gatherRows(b)),
    }));
    expect(results[0]).toEqual(results[1]);
    expect(results[0][0].slice(columns, 2 * columns)).toEqual(numbers(5 * columns, 1).slice(3 * columns, 4 * columns));
    expect(dispatches).toEqual([1, 3]);
  });

  it.each([
    ['layer', 1],
    ['layer', 3],
    ['rms', 1],
    ['rms', 4],
  ])('normalises rows (%s norm, %i rows) where products read them', async (norm, rows) => {
    const [K, N] = [96, 40];
    const [weight, bias] = [tensor(numbers(K, 1)), tensor(numbers(K, 2))];
    const matrices = [tensor(numbers(K * N, 3), [K, N]), tensor(numbers(N * K, 4), [N, K])];
    const x = hostTensor(numbers(rows * K, 5), [1, rows, K]);
    const build = (input: Tensor, isOutput: boolean) => {
      const y = norm === 'layer' ? layerNorm(input, weight, bias) : rmsNorm(input, weight);
      const products = { p: y.matmul(matrices[0]).add(1), q: y.reshape([rows, K]).matmul(matrices[1], { transposeB: true }) };
      return isOutput ? { ...products, y } : products;
    };
    const both = await bothWays(device, { x }, (given: { x: Tensor }) => build(given.x, false));
    expect(both.results[0]).toEqual(both.results[1]);
    expect(both.dispatches).toEqual(isCpuWithSubgroups(device.traits) ? [2, 4] : [3, 4]);
    // A norm that is asked for is stored, and read from there.
    const stored = await bothWays(device, { x }, (given: { x: Tensor }) => build(given.x, true));
    expect(stored.results[0]).toEqual(stored.results[1]);
    expect(stored.dispatches).toEqual([3, 4]);
  });

  it('adds to the gradient of a layer norm where it is stored', async () => {
    const [rows, K] = [40, 64];
    const [weight, bias] = [tensor(numbers(K, 1)), tensor(numbers(K, 2))];
    const [dy, residual] = [3, 4].map((seed) => tensor(numbers(rows * K, seed), [rows, K]));
    const x = hostTensor(numbers(rows * K, 5), [rows, K]);
    for (const traits of [device.traits, { software: false, subgroups: false }]) {
      using other = await openDevice({ traits });
      const { results, dispatches } = await bothWays(other, { x }, (given: { x: Tensor }) => {
        const loss = layerNorm(given.x, weight, bias).mul(dy).sum().add(given.x.mul(residual).sum());
        return Object.fromEntries(grad(loss, [given.x, weight, bias]).map((gradient, i) => [`g${i}`, gradient]));
      });
      expect(results[0]).toEqual(results[1]);
      expect(dispatches[0]).toBeLessThan(dispatches[1]);
    }
  });

  it.each([
    [9, 4, 1],
    [8, 4, 2],
    [8, 3, 1],
  ])('with %i bindings, %i caches are written in %i dispatches', async (maxStorageBuffers, caches, expected) => {
    using other = await openDevice({ traits: { maxStorageBuffers } });
    const [T, C, D] = [2, 5, 4];
    using set = other.variables(Object.fromEntries(Array.from({ length: caches }, (_, i) => [`${i}`, { shape: [1, C, D] }])));
    const inputs = {
      x: hostTensor(numbers(T * caches * D, 1), [caches, T, D]),
      position: hostTensor(Int32Array.of(2)),
    };
    const written: TypedArray[][] = [];
    const dispatches: number[] = [];
    for (const fuse of [true, false]) {
      for (const variable of set) variable.write(numbers(C * D, 7));
      using program = other.compile(
        ({ x, position }: { x: Tensor; position: Tensor }) => ({
          outputs: {},
          updates: [...set].map((variable, i) => {
            const rows = x.slice([i, 0, 0], [1, T, D]).exp();
            return update(variable, writeRows(variable.tensor, rows, position));
          }),
        }),
        { fuse },
      );
      program.run(inputs);
      written.push(await Promise.all([...set].map((variable) => variable.read())));
      dispatches.push(program.report(inputs).byOp.find(([op]) => op === 'writeRows')?.[1] ?? 0);
    }
    expect(written[0]).toEqual(written[1]);
    const own = numbers(T * caches * D, 1)
      .slice(-D)
      .map(Math.exp);
    for (let d = 0; d < D; d++) expect(written[0][caches - 1][3 * D + d]).toBeCloseTo(own[d], 5);
    expect(dispatches).toEqual([expected, caches]);
  });
});
