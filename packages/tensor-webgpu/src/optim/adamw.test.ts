import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { update } from '../compile/compile.js';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { writeRows } from '../ops/update.js';
import { type Tensor, tensor } from '../tensor.js';
import { AdamW } from './adamw.js';
import { cosineSchedule } from './schedule.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

describe('AdamW', () => {
  it('makes the steps that the formula says, clipping, decay by group and bias correction included', async () => {
    const start = { w: Float32Array.from({ length: 70 }, (_, i) => Math.sin(i)), b: new Float32Array([0.5, -0.25, 2]) };
    using parameters = device.variables({ w: { shape: [7, 10] }, b: { shape: [3] } });
    parameters.get('w').write(start.w);
    parameters.get('b').write(start.b);
    using optimizer = new AdamW(device, parameters, {
      clipNorm: 1,
      group: (_, shape) => ({ weightDecay: shape.length > 1 ? 0.1 : 0, rateFactor: shape.length > 1 ? 1 : 0.5 }),
    });
    const [w, b] = ['w', 'b'].map((name) => parameters.get(name).tensor);
    using program = device.compile(({ rates }: { rates: Tensor }) => {
      const loss = w.mul(w).mul(1.5).sum().add(b.mul(b).sum());
      const { updates, norm } = optimizer.step(grad(loss, [w, b]), rates);
      return { outputs: { norm }, updates };
    });
    const expected = { w: Float64Array.from(start.w), b: Float64Array.from(start.b) };
    const moments = { w: [new Float64Array(70), new Float64Array(70)], b: [new Float64Array(3), new Float64Array(3)] };
    for (let step = 1; step <= 3; step++) {
      const gradients = { w: expected.w.map((x) => 3 * x), b: expected.b.map((x) => 2 * x) };
      const norm = Math.hypot(...gradients.w, ...gradients.b);
      const result = program.run({ rates: hostTensor(optimizer.rates(step, 0.01)) });
      expect((await result.norm.data())[0]).toBeCloseTo(norm, 3);
      for (const [name, decay, rate] of [
        ['w', 0.1, 0.01],
        ['b', 0, 0.005],
      ] as const) {
        const [m, v] = moments[name];
        gradients[name].forEach((gradient, i) => {
          const g = gradient / (norm + 1e-6);
          m[i] = 0.9 * m[i] + 0.1 * g;
          v[i] = 0.95 * v[i] + 0.05 * g * g;
          expected[name][i] -=
            expected[name][i] * rate * decay + (rate * (m[i] / (1 - 0.9 ** step))) / (Math.sqrt(v[i] / (1 - 0.95 ** step)) + 1e-8);
        });
        const actual = await parameters.get(name).read();
        expected[name].forEach((value, i) => {
          expect(actual[i]).toBeCloseTo(value, 5);
        });
      }
    }
  });

  it('warms up and decays the learning rate', () => {
    const rate = cosineSchedule({ peak: 2, warmup: 4, total: 104, floor: 0.1 });
    expect([rate(0), rate(3), rate(4), rate(104), rate(500)]).toEqual([0.5, 2, 2, 0.2, 0.2]);
    expect(rate(54)).toBeCloseTo(1.1, 6);
  });
});

describe('writeRows', () => {
  it('writes rows at each sequence’s position and leaves out what does not fit', async () => {
    using set = device.variables({ cache: { shape: [2, 3, 2] } });
    const cache = set.get('cache');
    cache.write(new Float32Array(12));
    const rows = tensor(new Float32Array([9, 1, 2, 9, 3, 4, 9, 5, 6, 9, 7, 8]), [2, 2, 3]);
    using program = device.compile(({ positions }: { positions: Tensor }) => ({
      outputs: { read: cache.tensor.mul(1) },
      updates: [update(cache, writeRows(cache.tensor, rows, positions, { column: 1 }))],
    }));
    const { read } = program.run({ positions: hostTensor(new Int32Array([0, 2])) });
    expect([...(await read.data())]).toEqual(new Array(12).fill(0));
    expect([...(await cache.read())]).toEqual([1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 5, 6]);
  });
  it('writes rows of sequences into their blocks of a cache', async () => {
    using set = device.variables({ cache: { shape: [4, 8, 1] } });
    const cache = set.get('cache');
    cache.write(new Float32Array(32));
    const rows = tensor(new Float32Array([1, 2, 3, 4]), [2, 2, 1]);
    using program = device.compile(({ places }: { places: Tensor }) => ({
      outputs: {},
      updates: [update(cache, writeRows(cache.tensor, rows, places))],
    }));
    // The first goes from its first block over into its second, the other has one row more than blocks for it.
    program.run({ places: hostTensor(new Int32Array([7, 2, 0, 15, 1, 3]), [2, 3]) });
    const written = Array.from(await cache.read(), (value, at) => [at, value]).filter(([, value]) => value !== 0);
    expect(written).toEqual([
      [0, 2],
      [23, 1],
      [31, 3],
    ]);
  });
});
