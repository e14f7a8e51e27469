import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { interpret } from '../graph/interpret.js';
import { threefry } from '../graph/primitives/threefry.js';
import { tensor } from '../tensor.js';
import { foldIn, randomBits, randomNormal, randomUniform } from './random.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const key = tensor(Uint32Array.of(42, 7));

describe('random numbers', () => {
  it("are Threefry's: the known answer for zeros", () => {
    expect(threefry(0, 0, 0)).toBe(0x6b200159);
  });

  it('are the same bits on the host and on the device, in any shape', async () => {
    const tensors = [randomBits([257], key), randomBits([64], foldIn(key, 3)), randomBits([16, 16], key)];
    const actual = await device.run(tensors);
    interpret(tensors).forEach((expected, i) => {
      expect(Array.from(actual[i])).toEqual(Array.from(expected));
    });
    expect(Array.from(actual[2])).toEqual(Array.from(actual[0].slice(0, 256)));
  });

  it('have the moments of their distribution, independent between keys', async () => {
    const [uniform, other, normal] = await device.run([
      randomUniform([20_000], foldIn(key, 0)),
      randomUniform([20_000], foldIn(key, 1)),
      randomNormal([20_000], key),
    ]);
    const mean = (x: ArrayLike<number>, f: (value: number, i: number) => number) => Array.from(x, f).reduce((a, b) => a + b, 0) / x.length;
    expect(mean(uniform, (x) => x)).toBeCloseTo(0.5, 1);
    expect(mean(uniform, (x) => (x - 0.5) ** 2)).toBeCloseTo(1 / 12, 2);
    expect(Math.abs(mean(uniform, (x, i) => (x - 0.5) * (other[i] - 0.5)))).toBeLessThan(0.003);
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...uniform)).toBeLessThan(1);
    expect(Math.abs(mean(normal, (x) => x))).toBeLessThan(0.03);
    expect(mean(normal, (x) => x * x)).toBeCloseTo(1, 1);
  });
});
