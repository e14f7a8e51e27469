import { afterAll, beforeAll, expect, it } from 'vitest';
import { update } from '../compile/compile.js';
import { hostTensor } from '../compile/program.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { softmax } from '../ops/softmax.js';
import type { Tensor } from '../tensor.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

it('gives the time, operations and bytes of every kernel, and makes the call’s updates', async ({ skip }) => {
  skip(!device.gpu.features.has('timestamp-query'), 'this adapter has no timestamp queries');
  using variables = device.variables({ calls: { shape: [1] } });
  const calls = variables.get('calls');
  calls.write(new Float32Array(1));
  using program = device.compile(({ x }: { x: Tensor }) => ({
    outputs: { y: softmax(x.matmul(x)) },
    updates: [update(calls, calls.tensor.add(1))],
  }));
  const inputs = { x: hostTensor(new Float32Array(64 * 64).fill(0.01), [64, 64]) };
  const { y } = program.run(inputs);
  const profile = await program.profile(inputs);
  await expect(y.data()).rejects.toMatchObject({ code: 'TENSOR_STALE_RESULT' });
  expect(await calls.read()).toEqual(new Float32Array([2]));

  const report = program.report(inputs);
  expect(profile.kernels.length).toBe(report.dispatches);
  const summary = profile.summary();
  expect(summary.reduce((sum, { calls }) => sum + calls, 0)).toBe(report.dispatches);
  const matmul = profile.kernels.find(({ op }) => op === 'matmul');
  expect(matmul).toMatchObject({ flops: 2 * 64 ** 3, bytes: 64 * 64 * 4 * 3 });
  expect(report.flops).toBeGreaterThan(2 * 64 ** 3);
  expect(report.arenaBytes).toBeLessThanOrEqual(report.unsharedBytes);
  expect(profile.ms).toBeGreaterThan(0);
  for (const { start, duration } of profile.kernels) expect(Math.min(start, duration)).toBeGreaterThanOrEqual(0);
  expect(profile.table()).toMatch(/^op +kernel +calls +ms +share +GFLOP\/s +GB\/s\n(.*\n)*matmul /);
  const { traceEvents } = JSON.parse(JSON.stringify(profile.trace()));
  expect(traceEvents[0]).toMatchObject({ ph: 'X', name: expect.any(String), ts: 0, dur: expect.any(Number) });
});
