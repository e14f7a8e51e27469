import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { grad } from '../graph/gradient.js';
import { gelu } from '../ops/activation.js';
import { crossEntropy } from '../ops/cross-entropy.js';
import { layerNorm } from '../ops/layer-norm.js';
import { AdamW } from '../optim/adamw.js';
import type { Tensor } from '../tensor.js';
import { hostTensor } from './program.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

const STEPS = 2000;
const MIB = 2 ** 20;

describe('a replayed program', () => {
  it(`creates no GPU objects and keeps no memory over ${STEPS} training steps, and overfits its batch`, async () => {
    const [V, D, N] = [24, 32, 16];
    using parameters = device.variables({
      embed: { shape: [V, D] },
      w: { shape: [D, D] },
      b: { shape: [D] },
      n: { shape: [D] },
      nb: { shape: [D] },
    });
    for (const [i, variable] of [...parameters].entries())
      variable.write(Float32Array.from({ length: variable.tensor.size }, (_, k) => (variable.name === 'n' ? 1 : Math.sin(k * k + i) / 8)));
    using optimizer = new AdamW(device, parameters, { group: () => ({ weightDecay: 0, rateFactor: 1 }) });
    using program = device.compile(({ ids, targets, rates }: Record<'ids' | 'targets' | 'rates', Tensor>) => {
      const wrt = parameters.names.map((name) => parameters.get(name).tensor);
      const [embed, w, b, n, nb] = wrt;
      const h = layerNorm(gelu(embed.gatherRows(ids).matmul(w).add(b)), n, nb);
      const loss = crossEntropy(h.matmul(embed, { transposeB: true }), targets).mean();
      return { outputs: { loss }, updates: optimizer.step(grad(loss, wrt), rates).updates };
    });
    const inputs = {
      ids: hostTensor(Int32Array.from({ length: N }, (_, i) => i)),
      targets: hostTensor(Int32Array.from({ length: N }, (_, i) => (i * 7 + 3) % V)),
    };
    let created = 0;
    const createBuffer = device.gpu.createBuffer.bind(device.gpu);
    device.gpu.createBuffer = (descriptor) => {
      created++;
      return createBuffer(descriptor);
    };
    const usage = () => {
      globalThis.gc?.();
      const { rss, external } = process.memoryUsage();
      return { rss, external, created };
    };
    let loss = 0;
    let before = usage();
    for (let step = 1; step <= STEPS; step++) {
      const result = program.run({ ...inputs, rates: hostTensor(optimizer.rates(step, 0.003)) });
      // Waits often enough that commands do not pile up.
      if (step % 20 === 0) [loss] = await result.loss.data();
      if (step === STEPS / 4) before = usage();
    }
    const after = usage();
    device.gpu.createBuffer = createBuffer;
    expect(loss).toBeLessThan(0.05);
    expect(after.created).toBe(before.created);
    // What the garbage collector has not taken yet is allowed for; a leak of 16 KiB a step is not.
    expect((after.rss - before.rss) / MIB).toBeLessThan(24);
    expect((after.external - before.external) / MIB).toBeLessThan(8);
  });
});
