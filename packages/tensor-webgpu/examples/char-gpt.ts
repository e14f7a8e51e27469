/** A GPT over characters in under 100 lines: node examples/char-gpt.js [sotu-train.jsonl.gz] [steps], from the repository's root. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import {
  AdamW,
  causalAttention,
  cosineSchedule,
  crossEntropy,
  gelu,
  grad,
  hostTensor,
  layerNorm,
  openDevice,
  type Tensor,
} from '@sconelm/tensor-webgpu';

const [file = 'data/quickstart/sotu-train.jsonl.gz', stepText = '400'] = process.argv.slice(2);
const steps = Number(stepText);
const text = gunzipSync(readFileSync(file)).toString().slice(0, 500_000);
const characters = [...new Set(text)].sort();
const tokens = Int32Array.from(text, (c) => characters.indexOf(c));

const [layers, width, heads, context, batch] = [2, 64, 2, 64, 8];
const V = characters.length;

/** A parameter's shape; what ends in "norm" starts at one, what ends in "bias" at zero, the rest at random. */
const shapes: Record<string, number[]> = { token: [V, width], position: [context, width], norm: [width], normbias: [width] };
for (let l = 0; l < layers; l++) {
  for (const norm of ['norm1', 'norm2']) shapes[`${l}.${norm}`] = shapes[`${l}.${norm}bias`] = [width];
  for (const [name, from, to] of [
    ['qkv', 1, 3],
    ['out', 1, 1],
    ['up', 1, 4],
    ['down', 4, 1],
  ] as const) {
    shapes[`${l}.${name}`] = [from * width, to * width];
    shapes[`${l}.${name}bias`] = [to * width];
  }
}

using device = await openDevice();
using parameters = device.variables(Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape }])));
for (const variable of parameters) {
  const { name, tensor } = variable;
  const start = () => (/norm\d?$/.test(name) ? 1 : name.endsWith('bias') ? 0 : (Math.random() - 0.5) * 0.2);
  variable.write(Float32Array.from({ length: tensor.size }, start));
}
const p = (name: string) => parameters.get(name).tensor;
const linear = (x: Tensor, name: string) => x.matmul(p(name)).add(p(`${name}bias`));
const norm = (x: Tensor, name: string) => layerNorm(x, p(name), p(`${name}bias`));

/** [B, T] tokens to [B · T, V] logits. */
function logits(ids: Tensor): Tensor {
  let x = p('token').gatherRows(ids).add(p('position'));
  for (let l = 0; l < layers; l++) {
    x = x.add(linear(causalAttention(linear(norm(x, `${l}.norm1`), `${l}.qkv`), { heads }), `${l}.out`));
    x = x.add(linear(gelu(linear(norm(x, `${l}.norm2`), `${l}.up`)), `${l}.down`));
  }
  return norm(x, 'norm').reshape([-1, width]).matmul(p('token'), { transposeB: true });
}

using optimizer = new AdamW(device, parameters, { group: (_, shape) => ({ weightDecay: shape.length > 1 ? 0.1 : 0, rateFactor: 1 }) });
using train = device.compile(({ ids, targets, rates }: Record<'ids' | 'targets' | 'rates', Tensor>) => {
  const loss = crossEntropy(logits(ids), targets).mean();
  return { outputs: { loss }, updates: optimizer.step(grad(loss, parameters.names.map(p)), rates).updates };
});
using generate = device.compile(({ ids }: { ids: Tensor }) => ({ outputs: { logits: logits(ids) } }));

const rate = cosineSchedule({ peak: 5e-3, warmup: 20, total: steps, floor: 0.1 });
for (let step = 1; step <= steps; step++) {
  const starts = Array.from({ length: batch }, () => Math.floor(Math.random() * (tokens.length - context - 1)));
  const windows = (shift: number) =>
    Int32Array.from(starts.flatMap((start) => [...tokens.subarray(start + shift, start + shift + context)]));
  const { loss } = train.run({
    ids: hostTensor(windows(0), [batch, context]),
    targets: hostTensor(windows(1)),
    rates: hostTensor(optimizer.rates(step, rate(step))),
  });
  if (step % 50 === 0) console.log(`step ${step}: loss ${(await loss.data())[0].toFixed(3)} nats per character`);
}

let written = 'The people of the United States ';
for (let i = 0; i < 80; i++) {
  const window = Int32Array.from(written.slice(-context), (c) => characters.indexOf(c));
  const ids = new Int32Array(context);
  ids.set(window);
  const scores = (await generate.run({ ids: hostTensor(ids, [1, context]) }).logits.data()).subarray(
    (window.length - 1) * V,
    window.length * V,
  );
  const weights = Array.from(scores, (score) => Math.exp((score - Math.max(...scores)) / 0.7));
  let pick = Math.random() * weights.reduce((a, b) => a + b, 0);
  let next = 0;
  while (next < V - 1 && pick >= weights[next]) pick -= weights[next++];
  written += characters[next];
}
console.log(written);
