import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { update } from '../compile/compile.js';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { type Tensor, tensor } from '../tensor.js';
import { GradientAccumulator } from './accumulator.js';
import { clipByGlobalNorm } from './clip.js';
import { Muon, orthogonalize } from './muon.js';
import { warmupStableDecaySchedule } from './schedule.js';
import { Sgd } from './sgd.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 12.9898 + seed * 78.233));

describe('Sgd', () => {
  it('follows the recurrence of momentum with weight decay', async () => {
    using parameters = device.variables({ a: { shape: [3] }, b: { shape: [70] } });
    const [a, b] = [numbers(3, 1), numbers(70, 2)];
    parameters.get('a').write(a);
    parameters.get('b').write(b);
    using sgd = new Sgd(device, parameters, { momentum: 0.9, weightDecay: 0.1 });
    using program = device.compile(({ rate }: { rate: Tensor }) => {
      const wrt = parameters.names.map((name) => parameters.get(name).tensor);
      const loss = wrt.map((x) => x.mul(x).sum()).reduce((sum, x) => sum.add(x));
      return { outputs: { loss }, updates: sgd.step(grad(loss, wrt), rate.reshape([])) };
    });
    const velocity = [new Float32Array(3), new Float32Array(70)];
    for (let step = 0; step < 3; step++) {
      program.run({ rate: hostTensor(Float32Array.of(0.05)) });
      [a, b].forEach((x, k) => {
        for (let i = 0; i < x.length; i++) {
          velocity[k][i] = 0.9 * velocity[k][i] + 2 * x[i];
          x[i] -= 0.05 * (velocity[k][i] + 0.1 * x[i]);
        }
      });
    }
    for (const [name, expected] of [
      ['a', a],
      ['b', b],
    ] as const) {
      const actual = await parameters.get(name).read();
      expected.forEach((value, i) => {
        expect(actual[i]).toBeCloseTo(value, 5);
      });
    }
  });
});

describe('Muon', () => {
  it('makes matrices orthogonal, roughly', async () => {
    const [product] = await device.run([orthogonalize(tensor(numbers(6 * 16, 3), [6, 16]))].map((x) => x.matmul(x, { transposeB: true })));
    for (let i = 0; i < 6; i++) {
      for (let j = 0; j < 6; j++) expect(Math.abs(product[i * 6 + j] - (i === j ? 1 : 0))).toBeLessThan(0.6);
    }
  });

  it('fits a linear map', async () => {
    using parameters = device.variables({ w: { shape: [8, 8] } });
    parameters.get('w').write(new Float32Array(64));
    using muon = new Muon(device, parameters);
    const [x, wanted] = [tensor(numbers(32 * 8, 4), [32, 8]), tensor(numbers(64, 5), [8, 8])];
    using program = device.compile(({ rate }: { rate: Tensor }) => {
      const w = parameters.get('w').tensor;
      const loss = x.matmul(w.sub(wanted)).square().mean();
      return { outputs: { loss }, updates: muon.step(grad(loss, [w]), rate.reshape([])) };
    });
    const losses: number[] = [];
    for (let step = 0; step < 100; step++)
      losses.push((await program.run({ rate: hostTensor(Float32Array.of(0.1 * (1 - step / 100))) }).loss.data())[0]);
    expect(losses[99]).toBeLessThan(losses[0] / 50);
  });

  it('refuses what is no matrix', () => {
    using parameters = device.variables({ b: { shape: [8] } });
    expect(() => new Muon(device, parameters)).toThrow("Muon: 'b' is no matrix");
  });
});

describe('accumulated gradients', () => {
  it('of two halves are those of the whole batch, and clear', async () => {
    using parameters = device.variables({ w: { shape: [4, 3] }, b: { shape: [3] } });
    for (const [i, variable] of [...parameters].entries()) variable.write(numbers(variable.tensor.size, i));
    using results = device.variables({ w: { shape: [4, 3] }, b: { shape: [3] } });
    using sums = new GradientAccumulator(device, parameters);
    const wrt = parameters.names.map((name) => parameters.get(name).tensor);
    const gradients = (x: Tensor) => {
      const y = x.matmul(wrt[0]).add(wrt[1]).tanh();
      return grad(y.square().mean(), wrt);
    };
    using add = device.compile(({ x }: { x: Tensor }) => ({ outputs: {}, updates: sums.add(gradients(x)) }));
    using take = device.compile(() => ({
      outputs: {},
      updates: [...sums.mean(2).map((gradient, i) => update(results.get(results.names[i]), gradient)), ...sums.clear()],
    }));
    using whole = device.compile(({ x }: { x: Tensor }) => {
      const [w, b] = gradients(x);
      return { outputs: { w, b } };
    });
    const data = numbers(8 * 4, 9);
    for (let round = 0; round < 2; round++) {
      add.run({ x: hostTensor(data.slice(0, 16), [4, 4]) });
      add.run({ x: hostTensor(data.slice(16), [4, 4]) });
      take.run({});
      const expected = whole.run({ x: hostTensor(data, [8, 4]) });
      for (const name of ['w', 'b'] as const) {
        const actual = await results.get(name).read();
        (await expected[name].data()).forEach((value, i) => {
          expect(actual[i]).toBeCloseTo(value, 5);
        });
      }
    }
  });
});

describe('clipByGlobalNorm', () => {
  it('scales all gradients by one factor, and leaves short ones', async () => {
    const gradients = [tensor(Float32Array.of(3, 0)), tensor(Float32Array.of(4))];
    const [clipped, kept] = [clipByGlobalNorm(gradients, 1), clipByGlobalNorm(gradients, 10)];
    const [a, b, norm, c] = await device.run([...clipped.gradients, clipped.norm, kept.gradients[0]]);
    expect(a[0]).toBeCloseTo(0.6, 5);
    expect(b[0]).toBeCloseTo(0.8, 5);
    expect(norm[0]).toBeCloseTo(5, 5);
    expect(c[0]).toBeCloseTo(3, 5);
  });
});

describe('warmupStableDecaySchedule', () => {
  it('rises, stays and falls to zero', () => {
    const rate = warmupStableDecaySchedule({ peak: 2, warmup: 4, total: 20, decay: 10 });
    expect([0, 3, 10, 15, 20].map(rate)).toEqual([0.5, 2, 2, 1, 0]);
  });
});
