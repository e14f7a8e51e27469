import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { gelu, silu } from '../ops/activation.js';
import { type Tensor, tensor } from '../tensor.js';
import { checkpoint, customGradient, valueAndGrad } from './custom.js';
import { grad } from './gradient.js';
import { interpret } from './interpret.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

describe('checkpoint', () => {
  it('gives the same gradients from less memory', async () => {
    const N = 128;
    const weights = Array.from({ length: 12 }, (_, k) =>
      tensor(
        Float32Array.from({ length: N * N }, (_, i) => Math.sin(i * i * (k + 2)) / 16),
        [N, N],
      ),
    );
    const x = tensor(
      Float32Array.from({ length: N * N }, (_, i) => Math.cos(i)),
      [N, N],
    );
    const layer = (h: typeof x, w: typeof x) => h.matmul(w).tanh().add(h).tanh().matmul(w).tanh();
    const build = (saving: boolean) => {
      let h = x;
      for (const w of weights) h = saving ? checkpoint([h, w], (a, b) => [layer(a, b)])[0] : layer(h, w);
      return grad(h.square().sum(), weights);
    };
    const outcome = async (saving: boolean) => {
      using program = device.compile(() => {
        return { outputs: Object.fromEntries(build(saving).map((gradient, i) => [`g${i}`, gradient] as const)) };
      });
      const results = program.run({});
      return {
        gradients: await Promise.all(Object.values(results).map((result) => result.data())),
        bytes: program.report({}).arenaBytes,
      };
    };
    const [plain, saving] = [await outcome(false), await outcome(true)];
    expect(saving.gradients).toEqual(plain.gradients);
    expect(saving.bytes).toBeLessThan(plain.bytes * 0.7);
  });
});

describe('customGradient', () => {
  it('refuses a gradient of another shape', () => {
    const x = tensor(Float32Array.of(1, 2));
    const [y] = customGradient(
      [x],
      (a) => [a.mul(2)],
      ([dy]) => [dy?.sum()],
    );
    expect(() => grad(y.sum(), [x])).toThrow('customGradient: the gradient of');
  });
});

describe('valueAndGrad', () => {
  it('gives both', async () => {
    const x = tensor(Float32Array.of(1, 2));
    const { value, gradients } = valueAndGrad((a) => a.square().sum(), [x]);
    const [loss, dx] = await device.run([value, ...gradients]);
    expect([loss[0], ...dx]).toEqual([5, 2, 4]);
  });
});

describe('a derivative of a derivative', () => {
  it.each([
    ['gelu', gelu],
    ['silu', silu],
  ] as const)('of %s is that of its differences', async (_, f) => {
    const at = Float32Array.of(-3, -1, -0.2, 0, 0.4, 2);
    const first = (x: Tensor) => grad(f(x).sum(), [x])[0];
    const x = tensor(at);
    const [second] = await device.run([grad(first(x).sum(), [x])[0]]);
    const [up, down] = interpret([1e-3, -1e-3].map((step) => first(tensor(at.map((value) => value + step)))));
    second.forEach((value, i) => {
      expect(value).toBeCloseTo((up[i] - down[i]) / 2e-3, 2);
    });
  });
});
