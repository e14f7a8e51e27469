/** Values larger than a binding: the same results with a limit of 4 KiB as without. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { interpret } from '../graph/interpret.js';
import { gelu } from '../ops/activation.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { AdamW } from '../optim/adamw.js';
import { concat, iota, type Tensor, tensor } from '../tensor.js';
import { hostTensor } from './program.js';

const LIMIT = 4096;
let device: Device;
beforeAll(async () => {
  device = await openDevice({ traits: { maxBindingBytes: LIMIT } });
});
afterAll(() => device[Symbol.dispose]());

const numbers = (shape: readonly number[], seed: number) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * i * 0.37 + i * seed + seed)),
    shape,
  );
};

async function expectLikeInterpreter(tensors: readonly Tensor[]): Promise<void> {
  const actual = await device.run(tensors);
  interpret(tensors, { precision: 'f64' }).forEach((expected, i) => {
    for (let j = 0; j < expected.length; j++)
      if (!(Math.abs(actual[i][j] - expected[j]) <= 2e-4 * Math.max(1, Math.abs(expected[j]))))
        expect.fail(`output ${i} at ${j}: ${actual[i][j]}, expected ${expected[j]}`);
  });
}

describe('values larger than a binding', () => {
  it('go through elementwise chains, views and copies', async () => {
    const [x, row, column] = [numbers([70, 33], 1), numbers([33], 2), numbers([70, 1], 3)];
    await expectLikeInterpreter([
      gelu(x.add(row).mul(column)),
      x.mul(iota([70, 33], 0).cast('f32')).add(iota([70, 33], 1).cast('f32')),
      x.slice([3, 1], [64, 30]).mul(2),
      x.slice([0, 5], [70, 28]).neg(),
      concat([x, x.square()], 0),
      concat([x, x.square()], 1),
      x.pad([1, 2], [3, 0]),
      numbers([5000], 4).exp(),
      x.cast('f16').cast('f32'),
    ]);
  });

  it.each([
    [70, 33, 40],
    [8, 300, 40],
    [300, 40, 8],
    [40, 8, 300],
    [130, 130, 130],
  ])('go through products: %i x %i x %i, all transposes', async (M, N, K) => {
    await expectLikeInterpreter(
      [false, true].flatMap((transposeA) =>
        [false, true].map((transposeB) =>
          numbers(transposeA ? [K, M] : [M, K], 5).matmul(numbers(transposeB ? [N, K] : [K, N], 6), { transposeA, transposeB }),
        ),
      ),
    );
  });

  it('go through gather and scatter', async () => {
    const ids = tensor(Int32Array.from({ length: 40 }, (_, i) => ((i * 37) % 301) - 1));
    await expectLikeInterpreter([numbers([300, 20], 7).gatherRows(ids), numbers([40, 20], 8).scatterRows(ids, 300)]);
  });

  it('are trained: a tied table, with AdamW over all of it', async () => {
    const [V, D, N] = [300, 20, 12];
    const train = async (on: Device) => {
      using parameters = on.variables({ table: { shape: [V, D] }, w: { shape: [D, D] } });
      for (const [i, variable] of [...parameters].entries())
        variable.write(interpret([numbers(variable.shape, 9 + i)])[0] as Float32Array<ArrayBuffer>);
      using optimizer = new AdamW(on, parameters, { clipNorm: 0.5, group: () => ({ weightDecay: 0.1, rateFactor: 1 }) });
      const ids = tensor(Int32Array.from({ length: N }, (_, i) => (i * 29) % V));
      using program = on.compile(({ rates }: { rates: Tensor }) => {
        const wrt = parameters.names.map((name) => parameters.get(name).tensor);
        const h = wrt[0].gatherRows(ids).matmul(wrt[1]).tanh();
        // Twelve rows of logits are 14 KiB: three bindings. The loss takes them two rows at a time.
        const logits = h.matmul(wrt[0], { transposeB: true });
        const losses = Array.from({ length: N / 2 }, (_, i) => crossEntropy(logits.slice([2 * i, 0], [2, V]), ids.slice([2 * i], [2])));
        const loss = concat(losses).mean();
        const { updates, norm } = optimizer.step(grad(loss, wrt), rates);
        return { outputs: { loss, norm }, updates };
      });
      const seen: number[] = [];
      for (let step = 1; step <= 4; step++) {
        const { loss, norm } = program.run({ rates: hostTensor(optimizer.rates(step, 0.02)) });
        seen.push((await loss.data())[0], (await norm.data())[0]);
      }
      return { seen, values: await parameters.get('table').read() };
    };
    using whole = await openDevice();
    const [parts, expected] = [await train(device), await train(whole)];
    parts.seen.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.seen[i], 4);
    });
    parts.values.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.values[i], 3);
    });
  });

  it('are refused by name where an op takes them whole', () => {
    using program = device.compile(() => ({ outputs: { y: numbers([40, 40], 1).sum(1) } }));
    expect(() => program.run({})).toThrow(/sum: x takes 6400 bytes, but this adapter binds 4096/);
  });

  it('are checked for numbers part by part', async () => {
    using program = device.compile(() => ({ outputs: { y: iota([3000]).cast('f32').sub(2999).neg().log() } }), { checkNumbers: true });
    await expect(program.run({}).y.data()).rejects.toMatchObject({ code: 'TENSOR_NOT_FINITE', op: 'log' });
  });
});
