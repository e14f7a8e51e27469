/**
 * A multilayer perceptron on a small real dataset: was a State of the Union address given before 1900, by its letters alone?
 * node examples/mlp.js [sotu-train.jsonl.gz], from the repository's root.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { AdamW, grad, hostTensor, openDevice, relu, sigmoid, type Tensor } from '@sconelm/tensor-webgpu';

interface Address {
  readonly year: number;
  readonly text: string;
}

const SYMBOLS = 'abcdefghijklmnopqrstuvwxyz ,.;-$%0123456789';
const lines = gunzipSync(readFileSync(process.argv[2] ?? 'data/quickstart/sotu-train.jsonl.gz'))
  .toString()
  .trim()
  .split('\n');
const addresses = lines.map((line): Address => JSON.parse(line));

/** How often each symbol comes, as multiples of its mean over all addresses. */
const counts = addresses.map(({ text }) => {
  const lower = text.toLowerCase();
  return Array.from(SYMBOLS, (symbol) => lower.split(symbol).length / lower.length);
});
const means = Array.from(SYMBOLS, (_, i) => counts.reduce((sum, row) => sum + row[i], 0) / counts.length);
const features = counts.map((row) => row.map((count, i) => count / means[i] - 1));

const batch = (test: boolean) => {
  const rows = features.map((x, i) => ({ x, late: addresses[i].year >= 1900 })).filter((_, i) => (i % 5 === 0) === test);
  const x = hostTensor(Float32Array.from(rows.flatMap((row) => row.x)), [rows.length, SYMBOLS.length]);
  return {
    x,
    late: hostTensor(
      Float32Array.from(rows, ({ late }) => Number(late)),
      [rows.length, 1],
    ),
  };
};

using device = await openDevice();
using parameters = device.variables({
  w1: { shape: [SYMBOLS.length, 32] },
  b1: { shape: [32] },
  w2: { shape: [32, 1] },
  b2: { shape: [1] },
});
for (const variable of parameters)
  variable.write(
    Float32Array.from({ length: variable.tensor.size }, () => (variable.name.startsWith('w') ? (Math.random() - 0.5) / 2 : 0)),
  );
const p = (name: string) => parameters.get(name).tensor;
const predict = (x: Tensor) =>
  sigmoid(
    relu(x.matmul(p('w1')).add(p('b1')))
      .matmul(p('w2'))
      .add(p('b2')),
  );

using optimizer = new AdamW(device, parameters, { group: () => ({ weightDecay: 0.01, rateFactor: 1 }) });
using step = device.compile(({ x, late, rates }: Record<'x' | 'late' | 'rates', Tensor>) => {
  const y = predict(x);
  const likelihood = late.mul(y.add(1e-6).log()).add(
    late
      .neg()
      .add(1)
      .mul(
        y
          .neg()
          .add(1 + 1e-6)
          .log(),
      ),
  );
  const loss = likelihood.mean().neg();
  return { outputs: { loss }, updates: optimizer.step(grad(loss, parameters.names.map(p)), rates).updates };
});
using test = device.compile(({ x, late }: Record<'x' | 'late', Tensor>) => ({
  outputs: { right: predict(x).greaterEqual(0.5).cast('f32').equal(late).cast('f32').mean() },
}));

const train = batch(false);
for (let i = 1; i <= 300; i++) {
  const { loss } = step.run({ ...train, rates: hostTensor(optimizer.rates(i, 0.01)) });
  if (i % 100 === 0) console.log(`step ${i}: loss ${(await loss.data())[0].toFixed(4)}`);
}
const { right } = test.run(batch(true));
console.log(`right on addresses not trained on: ${((await right.data())[0] * 100).toFixed(0)}%`);
