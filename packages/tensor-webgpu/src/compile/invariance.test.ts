import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { TypedArray } from '../dtype.js';
import { grad } from '../graph/gradient.js';
import { gelu, logSoftmax } from '../ops/activation.js';
import { cachedAttention } from '../ops/attention.js';
import { layerNorm } from '../ops/layer-norm.js';
import { writeRows } from '../ops/update.js';
import { AdamW } from '../optim/adamw.js';
import { type Tensor, tensor } from '../tensor.js';
import { update } from './compile.js';
import { hostTensor } from './program.js';

const D = 64;
const V = 2304;
const numbers = (count: number, seed: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.37 + i * seed + seed));
const weights = {
  norm: tensor(numbers(D, 1)),
  up: tensor(numbers(D * 4 * D, 2), [D, 4 * D]),
  bias: tensor(numbers(4 * D, 3)),
  down: tensor(numbers(4 * D * D, 4), [4 * D, D]),
  head: tensor(numbers(V * D, 5), [V, D]),
};

/** A transformer's work on rows, each by itself. */
function block(x: Tensor): Tensor {
  const h = gelu(layerNorm(x, weights.norm, weights.norm).matmul(weights.up).add(weights.bias))
    .matmul(weights.down)
    .add(x);
  return logSoftmax(h.matmul(weights.head, { transposeB: true }));
}

const same = (a: TypedArray, b: TypedArray) =>
  Buffer.compare(Buffer.from(a.buffer, a.byteOffset, a.byteLength), Buffer.from(b.buffer, b.byteOffset, b.byteLength)) === 0;

describe.each([
  ['of this adapter', {}],
  ['of a GPU', { software: false, subgroups: false }],
] as const)('batch-invariant programs, in the forms %s, tuner on', (_, traits) => {
  let device: Device;
  const cache = mkdtempSync(join(tmpdir(), 'sconelm-tuning-'));
  beforeAll(async () => {
    process.env.XDG_CACHE_HOME = cache;
    process.env.SCONE_TUNE = 'on';
    device = await openDevice({ traits });
  });
  afterAll(() => {
    delete process.env.XDG_CACHE_HOME;
    delete process.env.SCONE_TUNE;
    device[Symbol.dispose]();
  });

  it('give a row the same bits in every batch from 1 to 33', async () => {
    const all = numbers(33 * D, 9);
    using program = device.compile(({ x }: { x: Tensor }) => ({ outputs: { y: block(x) } }), { batchInvariant: true });
    const run = async (from: number, rows: number) => {
      const inputs = { x: hostTensor(all.slice(from * D, (from + rows) * D), [rows, D]) };
      await program.prepare(inputs);
      return program.run(inputs).y.data();
    };
    const whole = await run(0, 33);
    for (let rows = 1; rows <= 32; rows++) {
      const from = (rows * 7) % (34 - rows);
      expect(same(await run(from, rows), whole.slice(from * V, (from + rows) * V) as TypedArray), `${rows} rows`).toBe(true);
    }
    const kept: unknown = JSON.parse(readFileSync(join(cache, 'sconelm', 'tuning.json'), 'utf8'));
    expect(JSON.stringify(kept)).toContain('matmul any x 256 x 64');
  });

  it('give a sequence the same bits in every cut into chunks', async () => {
    const [T, heads, C] = [24, 2, 32];
    const qkv = numbers(T * 3 * D, 11);
    const run = async (chunks: readonly number[]) => {
      using set = device.variables({ cache: { shape: [1, C, 2 * D] } });
      const kept = set.get('cache');
      kept.write(new Float32Array(C * 2 * D));
      using program = device.compile(
        ({ x, length }: { x: Tensor; length: Tensor }) => ({
          outputs: { y: cachedAttention(x, kept.tensor, length, { heads }) },
          updates: [update(kept, writeRows(kept.tensor, x, length, { column: D }))],
        }),
        { batchInvariant: true },
      );
      const out = new Float32Array(T * D);
      let start = 0;
      for (const size of chunks) {
        const x = hostTensor(qkv.slice(start * 3 * D, (start + size) * 3 * D), [1, size, 3 * D]);
        out.set(await program.run({ x, length: hostTensor(Int32Array.of(start)) }).y.data(), start * D);
        start += size;
      }
      return out;
    };
    const whole = await run([T]);
    for (const chunks of [new Array<number>(T).fill(1), [5, 7, 12], [1, 23], [16, 8]])
      expect(same(await run(chunks), whole), chunks.join()).toBe(true);
  });

  it('train to the same bits 20 times', async () => {
    const [x, wanted] = [tensor(numbers(48 * D, 12), [48, D]), tensor(numbers(48 * D, 13), [48, D])];
    let first: TypedArray | undefined;
    for (let time = 0; time < 20; time++) {
      using parameters = device.variables({ w: { shape: [D, D] }, b: { shape: [D] } });
      parameters.get('w').write(numbers(D * D, 14));
      parameters.get('b').write(new Float32Array(D));
      using optimizer = new AdamW(device, parameters, { group: () => ({ weightDecay: 0.1, rateFactor: 1 }) });
      using program = device.compile(({ rates }: { rates: Tensor }) => {
        const wrt = parameters.names.map((name) => parameters.get(name).tensor);
        const loss = gelu(x.matmul(wrt[0]).add(wrt[1])).sub(wanted).square().mean();
        return { outputs: { loss }, updates: optimizer.step(grad(loss, wrt), rates).updates };
      });
      for (let step = 1; step <= 3; step++) program.run({ rates: hostTensor(optimizer.rates(step, 0.01)) });
      const result = await parameters.flat.read();
      first ??= result;
      expect(same(result, first)).toBe(true);
    }
  });
});
