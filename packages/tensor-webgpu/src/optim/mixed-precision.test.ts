import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { gelu } from '../ops/activation.js';
import { type Tensor, tensor } from '../tensor.js';
import { AdamW } from './adamw.js';
import { LossScaler } from './loss-scaler.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.7 + i * seed));

/** A small network whose activations and weights are `dtype` in the graph, its masters f32. @returns the loss of the last step, and the scaler */
async function train(dtype: 'f16' | 'f32', initial: number, steps: number) {
  using parameters = device.variables({ up: { shape: [32, 64] }, down: { shape: [64, 8] } });
  parameters.get('up').write(numbers(32 * 64, 1).map((x) => x * 0.2));
  parameters.get('down').write(numbers(64 * 8, 2).map((x) => x * 0.2));
  const before = await parameters.flat.read();
  using optimizer = new AdamW(device, parameters, { group: () => ({ weightDecay: 0, rateFactor: 1 }) });
  const [x, wanted] = [tensor(numbers(48 * 32, 3), [48, 32]), tensor(numbers(48 * 8, 4), [48, 8])];
  using program = device.compile(({ rates, scale }: Record<'rates' | 'scale', Tensor>) => {
    const wrt = parameters.names.map((name) => parameters.get(name).tensor);
    const [up, down] = wrt.map((weight) => weight.cast(dtype));
    const y = gelu(x.cast(dtype).matmul(up)).matmul(down);
    const loss = y.cast('f32').sub(wanted).square().mean();
    const { updates, norm } = optimizer.step(grad(loss.mul(scale.reshape([])), wrt), rates);
    return { outputs: { loss, norm }, updates };
  });
  const scaler = new LossScaler({ initial, growEvery: 10 });
  let loss = 0;
  let skipped = 0;
  for (let step = 1; step <= steps; step++) {
    const rates = hostTensor(optimizer.rates(step, 0.01, scaler.scale));
    const results = program.run({ rates, scale: hostTensor(Float32Array.of(scaler.scale)) });
    const [[value], [norm]] = await Promise.all([results.loss.data(), results.norm.data()]);
    loss = value;
    if (!scaler.update(norm)) skipped++;
  }
  return { loss, skipped, scaler, before, after: await parameters.flat.read() };
}

describe('mixed precision', () => {
  it('learns as in f32', async () => {
    const [half, full] = [await train(device.floatType('f16'), 1024, 25), await train('f32', 1, 25)];
    expect(full.loss).toBeLessThan(0.4);
    expect(Math.abs(half.loss - full.loss)).toBeLessThan(0.1 * full.loss);
    expect(half.scaler.scale).toBeGreaterThan(1024);
  });

  it('leaves steps out whose scaled gradients overflow, until the scale fits', async () => {
    const first = await train('f16', 2 ** 40, 1);
    expect(first.skipped).toBe(1);
    expect(first.after).toEqual(first.before);
    const later = await train('f16', 2 ** 30, 60);
    expect(later.skipped).toBeGreaterThan(1);
    expect(later.skipped).toBeLessThan(40);
    expect(later.loss).toBeLessThan(0.5);
  });
});
