/** A tiny SCONE model in two forms against exact numbers of an independent implementation. */
import { existsSync, readFileSync } from 'node:fs';
import { DecodeSession, decoderHidden, decoderLogits, decoderShapes, parseSafetensors } from '@sconelm/decoder';
import { AdamW, crossEntropy, type Device, grad, hostTensor, openDevice, type Tensor, type VariableSet } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchForest, batchInputs, embed, fgramRows, fgramShapes, precompute } from './index.js';

const ROOT = new URL('../../../../shared/fixtures/', import.meta.url);
const parse = (form: string, file: string) => parseSafetensors(readFileSync(new URL(`${form}/${file}`, ROOT)), file).tensors;

interface Expected {
  config: {
    d: number;
    L: number;
    H: number;
    LA: number;
    V: number;
    K: number;
    T: number;
    B: number;
    S: number;
    finalNorm: boolean;
    unit: number;
  };
  fgrams: number[][];
  batch: { tokens: number[][]; targets: number[][]; lengths: number[][]; ids: number[][]; forest_nodes: number };
  loss: number;
  grad_norm: number;
  loss_after: number;
  adamw: { lr: number; betas: [number, number]; eps: number; weight_decay: number; clip: number };
}

function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let most = 0;
  for (let i = 0; i < expected.length; i++)
    most = Math.max(most, Number.isFinite(actual[i]) ? Math.abs(actual[i] - expected[i]) : Infinity);
  return most;
}

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

describe.each(['a-norm', 'a-unit'])('the model %s', (form) => {
  it('gives the rows, embeddings, logits, loss, gradients and AdamW step of the independent implementation', async (context) => {
    if (!existsSync(new URL(form, ROOT))) return context.skip('the fixtures are not on this machine');
    const expected: Expected = JSON.parse(readFileSync(new URL(`${form}/expected.json`, ROOT), 'utf8'));
    const { d, L, H, LA, V, K, T, B, unit, finalNorm } = expected.config;
    const decoder = { vocabSize: V, contextLength: T, layers: L, width: d, heads: H };
    const fgram = { maxLength: K, layers: LA, width: d, heads: H, unit, finalNorm };
    using variables: VariableSet = device.variables({ ...decoderShapes(decoder), ...fgramShapes(fgram, V) });
    const before = parse(form, 'model.safetensors');
    for (const variable of variables) variable.write(before.get(variable.name)?.data ?? new Float32Array());
    const p = (name: string) => variables.get(name).tensor;
    const reference = parse(form, 'expected.safetensors');
    const value = (name: string) => reference.get(name)?.data ?? [];

    const table = new Float32Array(expected.fgrams.length * d);
    const set = { size: expected.fgrams.length, tokensOf: (id: number) => Uint32Array.from(expected.fgrams[id]) };
    await precompute(
      device,
      set,
      { parameters: p },
      fgram,
      {
        write: async (ids, rows) =>
          ids.forEach((id, i) => {
            table.set(rows.subarray(i * d, (i + 1) * d), id * d);
          }),
      },
      { chunk: 100 },
    );
    expect(worst(table, value('table'))).toBeLessThan(1e-4);

    const forest = batchForest(expected.batch.tokens.flat(), expected.batch.lengths.flat(), T, K);
    expect(forest.nodes).toBe(expected.batch.forest_nodes);
    const inputs = { ...batchInputs(forest, [B, T], fgram), targets: hostTensor(Int32Array.from(expected.batch.targets.flat())) };
    using optimizer = new AdamW(device, variables, {
      beta1: expected.adamw.betas[0],
      beta2: expected.adamw.betas[1],
      eps: expected.adamw.eps,
      clipNorm: expected.adamw.clip,
      group: () => ({ weightDecay: expected.adamw.weight_decay, rateFactor: 1 }),
    });
    const parts = (x: { [key in keyof typeof inputs]: Tensor }) => {
      const embeddings = embed(fgramRows(x, p, fgram), x, p);
      const hidden = decoderHidden(embeddings, p, decoder);
      const logits = decoderLogits(hidden, p);
      return { embeddings, hidden, logits, loss: crossEntropy(logits, x.targets).mean() };
    };
    using forward = device.compile((x: { [key in keyof typeof inputs]: Tensor }) => ({ outputs: parts(x) }));
    const results = forward.run(inputs);
    for (const name of ['embeddings', 'hidden', 'logits'] as const)
      expect(worst(await results[name].data(), value(name)), name).toBeLessThan(1e-4);
    expect(Math.abs((await results.loss.data())[0] - expected.loss)).toBeLessThan(1e-4);

    using step = device.compile(({ rates, ...x }: { [key in keyof typeof inputs]: Tensor } & { rates: Tensor }) => {
      const gradients = grad(parts(x).loss, variables.names.map(p));
      const { updates, norm } = optimizer.step(gradients, rates);
      return {
        outputs: { norm, ...Object.fromEntries(variables.names.map((name, i) => [name, gradients[i]])) } as Record<string, Tensor>,
        updates,
      };
    });
    for (const name of ['m', 'v']) optimizer.moments.get(name).write(new Float32Array(optimizer.moments.get(name).tensor.size));
    const stepped = step.run({ ...inputs, rates: hostTensor(optimizer.rates(1, expected.adamw.lr)) });
    expect(Math.abs((await stepped.norm.data())[0] - expected.grad_norm)).toBeLessThan(1e-4);
    const gradients = parse(form, 'grads.safetensors');
    for (const name of variables.names)
      expect(worst(await stepped[name].data(), gradients.get(name)?.data ?? []), `gradient of ${name}`).toBeLessThan(1e-4);
    const after = parse(form, 'after.safetensors');
    for (const { name } of variables)
      expect(worst(await variables.get(name).read(), after.get(name)?.data ?? []), `${name} after the step`).toBeLessThan(1e-4);
    const again = forward.run(inputs);
    expect(Math.abs((await again.loss.data())[0] - expected.loss_after)).toBeLessThan(1e-4);

    // Inference from the precomputed table, in chunks of any size, equals training mode.
    for (const variable of variables) variable.write(before.get(variable.name)?.data ?? new Float32Array());
    const ids = expected.batch.ids[1];
    const tokens = Int32Array.from(expected.batch.tokens[1], (token, i) => (ids[i] < 0 ? token : -1));
    const rows = new Float32Array(T * d);
    ids.forEach((id, i) => {
      if (id >= 0) rows.set(table.subarray(id * d, (id + 1) * d), i * d);
    });
    const whole = value('logits').slice(T * V, 2 * T * V);
    using session = new DecodeSession(device, decoder, p);
    for (const sizes of [[T], Array<number>(T).fill(1), [3, 1, 17, 2, T - 23]]) {
      session.reset();
      let at = 0;
      for (const size of sizes) {
        const logits = await session.append({ tokens: tokens.slice(at, at + size), rows: rows.slice(at * d, (at + size) * d) });
        expect(worst(logits, whole.slice(at * V, (at + size) * V)), `chunk of ${size} at ${at}`).toBeLessThan(1e-4);
        at += size;
      }
    }
  });
});
