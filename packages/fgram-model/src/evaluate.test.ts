import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createModel, evaluate, stridedWindows, wholeWindows } from './index.js';

describe('windows', () => {
  it('that move by a stride predict every token but the first once, with enough before it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 20 }), fc.nat(50), fc.nat(19), (count, T, start, less) => {
        const stride = Math.max(1, T - less);
        const predicted: number[] = [];
        for (const window of stridedWindows(count, { T, stride, start })) {
          expect(window.length).toBeLessThanOrEqual(T);
          expect(window.from).toBeLessThan(window.length);
          for (let t = window.from; t < window.length; t++) {
            predicted.push(window.start + t + 1 - start);
            // As much before it as the stride leaves, or all there is.
            expect(t + 1).toBeGreaterThanOrEqual(Math.min(window.start + t + 1 - start, T - stride + 1));
          }
        }
        expect(predicted).toEqual(Array.from({ length: Math.max(0, count - 1) }, (_, i) => i + 1));
      }),
    );
  });
});

describe('an evaluation', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => device[Symbol.dispose]());

  it('adds up what it visits, and is lower the more stands before a token', async () => {
    const decoder = { vocabSize: 20, contextLength: 16, layers: 1, width: 16, heads: 2 };
    using model = createModel(device, { decoder }, { seed: 1 });
    const tokens = Int32Array.from({ length: 300 }, (_, i) => (i * i) % 19);
    const visited: number[] = [];
    const whole = await evaluate(device, model, tokens, { visit: ({ position, loss }) => (visited[position] = loss) });
    expect(whole.tokens).toBe(wholeWindows(300, 16).length * 16);
    expect(visited.length).toBe(whole.tokens);
    expect(visited.reduce((sum, loss) => sum + loss, 0) / whole.tokens).toBeCloseTo(whole.loss, 9);
    const strided = await evaluate(device, model, tokens, { windows: stridedWindows(300, { T: 16, stride: 4 }) });
    expect(strided.tokens).toBe(299);
    const side = await evaluate(device, model, tokens, { windows: stridedWindows(300, { T: 16, stride: 16 }).slice(0, 18) });
    expect(side.loss).toBeCloseTo(whole.loss, 6);
    expect(Math.abs(strided.loss - whole.loss)).toBeGreaterThan(1e-6);
  });
});
