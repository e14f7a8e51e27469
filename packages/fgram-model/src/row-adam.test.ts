import { AdamW, type Device, hostTensor, openDevice, type Tensor } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RowAdam } from './row-adam.js';

const [ROWS, D] = [300, 8];
const start = Float32Array.from({ length: ROWS * D }, (_, i) => Math.sin(i * i));
const noise = (step: number, i: number) => Math.cos(step * 31 + i * 7);

/** Steps by the formula, in double precision. */
function byHand(batches: readonly number[][], { rate, factor }: { rate: number; factor: number }): Float64Array {
  const [p, m, v] = [Float64Array.from(start), new Float64Array(ROWS * D), new Float64Array(ROWS * D)];
  batches.forEach((ids, step) => {
    ids.forEach((id, n) => {
      for (let d = 0; d < D && id >= 0; d++) {
        const at = id * D + d;
        const g = noise(step, n * D + d);
        m[at] = 0.9 * m[at] + 0.1 * g;
        v[at] = 0.95 * v[at] + 0.05 * g * g;
        p[at] -= (rate * factor * (m[at] / (1 - 0.9 ** (step + 1)))) / (Math.sqrt(v[at] / (1 - 0.95 ** (step + 1))) + 1e-8);
      }
    });
  });
  return p;
}

// A binding of 4 KiB holds 128 rows, so a table of 300 rows is worked on in three parts.
describe.each([
  ['in one binding', {}],
  ['in parts', { maxBindingBytes: 128 * D * 4 }],
])('Adam over touched rows, a table %s', (_, traits) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice({ traits });
  });
  afterAll(() => device[Symbol.dispose]());

  async function run(batches: readonly number[][], norm = 1): Promise<Float32Array> {
    using variables = device.variables({ other: { shape: [4] }, table: { shape: [ROWS, D] } });
    const table = variables.get('table');
    table.write(start);
    using dense = new AdamW(device, variables, { group: () => ({ weightDecay: 0, rateFactor: 1 }) });
    using optimizer = new RowAdam(device, table, { rateFactor: 3 });
    for (const moment of optimizer.moments) moment.write(new Float32Array(ROWS * D));
    using program = device.compile(({ g, ids, rates, norm }: Record<'g' | 'ids' | 'rates' | 'norm', Tensor>) => ({
      outputs: {},
      updates: optimizer.step(g, ids, rates, norm),
    }));
    batches.forEach((ids, step) => {
      program.run({
        g: hostTensor(
          Float32Array.from({ length: ids.length * D }, (_, i) => noise(step, i)),
          [ids.length, D],
        ),
        ids: hostTensor(Int32Array.from(ids)),
        rates: hostTensor(dense.rates(step + 1, 0.01)),
        norm: hostTensor(Float32Array.of(norm), []),
      });
    });
    return (await table.read()) as Float32Array;
  }

  const batches = [
    [3, 299, -1, 127, 128],
    [3, 200, 0, -1, -1],
    [127, 3, 256, 299, 5],
  ];

  it('makes the steps that the formula says, and leaves the other rows as they are', async () => {
    const [actual, expected] = [await run(batches), byHand(batches, { rate: 0.01, factor: 3 })];
    const touched = new Set(batches.flat());
    expected.forEach((value, i) => {
      if (touched.has(Math.floor(i / D))) expect(actual[i]).toBeCloseTo(value, 5);
      else expect(actual[i]).toBe(start[i]);
    });
    expect(Math.max(...actual.map((value, i) => Math.abs(value - start[i])))).toBeGreaterThan(0.02);
  });

  it('gives the same bits twice', async () => {
    expect(await run(batches)).toEqual(await run(batches));
  });

  it('leaves a step out whose norm is no finite number', async () => {
    expect(await run(batches, Number.POSITIVE_INFINITY)).toEqual(start);
  });
});
