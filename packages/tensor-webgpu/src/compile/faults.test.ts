import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { type Tensor, tensor } from '../tensor.js';
import { update } from './compile.js';
import { hostTensor } from './program.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const input = (...values: number[]) => ({ x: hostTensor(Float32Array.from(values)) });

describe('a program with checkNumbers', () => {
  it('names the first op that made a number that is none, and goes on', async () => {
    using program = device.compile(
      ({ x }: { x: Tensor }) => {
        const rows = x.reshape([1, -1]).matmul(tensor(new Float32Array([1, 2, 3, 4]), [2, 2]));
        return { outputs: { y: rows.log().sum(), rows } };
      },
      { checkNumbers: true },
    );
    expect((await program.run(input(1, 1)).y.data())[0]).toBeCloseTo(Math.log(4) + Math.log(6), 5);
    await expect(program.run(input(-1, -1)).y.data()).rejects.toMatchObject({ code: 'TENSOR_NOT_FINITE', op: 'log' });
    await expect(program.run(input(3e38, 3e38)).y.data()).rejects.toMatchObject({ code: 'TENSOR_NOT_FINITE', op: 'matmul' });
    expect((await program.run(input(1, 1)).y.data())[0]).toBeCloseTo(Math.log(4) + Math.log(6), 5);
  });

  it('is silent on a whole training step', async () => {
    using set = device.variables({ w: { shape: [7, 5] } });
    const w = set.get('w');
    w.write(new Float32Array(35).fill(0.1));
    using program = device.compile(
      ({ x }: { x: Tensor }) => {
        const loss = x.reshape([3, 7]).matmul(w.tensor).tanh().square().mean();
        return { outputs: { loss }, updates: [update(w, w.tensor.sub(grad(loss, [w.tensor])[0].mul(0.1)))] };
      },
      { checkNumbers: true },
    );
    for (let i = 0; i < 3; i++) expect((await program.run(input(...new Array<number>(21).fill(0.5))).loss.data())[0]).toBeLessThan(0.2);
  });
});

describe('what was disposed', () => {
  it('is refused by name', async () => {
    const set = device.variables({ a: { shape: [2] } });
    using program = device.compile(({ x }: { x: Tensor }) => ({ outputs: { y: set.get('a').tensor.add(x) } }));
    await program.run(input(1, 2)).y.data();
    set[Symbol.dispose]();
    expect(() => program.run(input(1, 2))).toThrow("variable 'a' was disposed");
    expect(() => set.get('a').write(new Float32Array(2))).toThrow("variable 'a' was disposed");
    await expect(set.get('a').read()).rejects.toMatchObject({ code: 'TENSOR_DISPOSED' });
    const other = device.compile(({ x }: { x: Tensor }) => ({ outputs: { y: x.mul(2) } }));
    const { y } = other.run(input(1));
    other[Symbol.dispose]();
    await expect(y.data()).rejects.toMatchObject({ code: 'TENSOR_DISPOSED' });
  });
});

describe('a device', () => {
  it('that is lost says so, and a new one goes on', async () => {
    const lost = await openDevice();
    using program = lost.compile(({ x }: { x: Tensor }) => ({ outputs: { y: x.mul(2) } }));
    await program.run(input(1)).y.data();
    lost.gpu.destroy();
    await lost.gpu.lost;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(() => program.run(input(1))).toThrow('the device was lost');
    using next = await openDevice();
    expect((await next.run([tensor(new Float32Array([2])).mul(3)]))[0][0]).toBe(6);
  });

  it('names the bytes that a buffer wants and has', () => {
    expect(() => device.variables({ huge: { shape: [2 ** 40] } })).toThrow(
      /variables: 4398046511104 bytes, but this adapter's buffers hold \d+/,
    );
  });

  it('falls back to f32 where f16 is not offered', () => {
    expect(device.floatType('f32')).toBe('f32');
    if (device.info.features.includes('shader-f16')) expect(device.floatType('f16')).toBe('f16');
  });
});

describe('mistakes', () => {
  it('name the op, the operands and what was expected', () => {
    const a = tensor(new Float32Array(6), [2, 3]);
    expect(() => a.matmul(a)).toThrow('matmul: [2, 3] and [2, 3] do not fit');
    expect(() => a.add(tensor(new Int32Array(3)))).toThrow('add: operands are f32 and i32');
    expect(() => a.matmul(a.transpose().cast('f16'))).toThrow('matmul: operands are f32 and f16, expected both f32 or both f16');
    expect(() => a.reshape([4])).toThrow('reshape: [2, 3] has 6 elements, [4] has 4');
    expect(() => a.split([1, 1, 2], 1)).toThrow('split: pieces of 1 + 1 + 2 along axis 1 of [2, 3]');
  });
});
