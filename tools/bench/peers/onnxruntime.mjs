/** onnxruntime on the CPU: one node per model, forward only. */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import * as ort from 'onnxruntime-node';
import { serve } from '../serve.mjs';
import { digest, values } from '../tensor/inputs.mjs';

// The protocol-buffer messages of a model, by field numbers of onnx.proto: enough for one node.
const varint = (/** @type {number} */ n) => {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return [...bytes, n];
};
const field = (/** @type {number} */ number, /** @type {number | string | number[]} */ value) => {
  if (typeof value === 'number') return [...varint(number * 8), ...varint(value)];
  const bytes = typeof value === 'string' ? [...Buffer.from(value)] : value;
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
};
const tensorType = (/** @type {string} */ name, /** @type {number[]} */ shape) =>
  field(1, name).concat(
    field(
      2,
      field(
        1,
        field(1, 1).concat(
          field(
            2,
            shape.flatMap((extent) => field(1, field(1, extent))),
          ),
        ),
      ),
    ),
  );

/** @param {{ name: string, shape: number[] }[]} inputs @param {number[]} output its shape @param {{ op: string, inputs: string[], output: string, ints?: Record<string, number | number[]> }[]} nodes */
function model(inputs, output, nodes) {
  const attribute = ([/** @type {string} */ name, /** @type {number | number[]} */ value]) =>
    field(
      5,
      field(1, name).concat(
        typeof value === 'number' ? [...field(3, value), ...field(20, 2)] : [...value.flatMap((n) => field(8, n)), ...field(20, 7)],
      ),
    );
  const graph = [
    ...nodes.flatMap((node) =>
      field(1, [
        ...node.inputs.flatMap((name) => field(1, name)),
        ...field(2, node.output),
        ...field(4, node.op),
        ...Object.entries(node.ints ?? {}).flatMap(attribute),
      ]),
    ),
    ...field(2, 'case'),
    ...inputs.flatMap(({ name, shape }) => field(11, tensorType(name, shape))),
    ...field(12, tensorType('y', output)),
  ];
  return Uint8Array.from([...field(1, 8), ...field(7, graph), ...field(8, field(2, 17))]);
}

/** @param {Record<string, { shape: number[], data: Float32Array }>} inputs @param {number[]} output @param {Parameters<typeof model>[2]} nodes */
async function prepared(inputs, output, nodes) {
  const declared = Object.entries(inputs).map(([name, { shape }]) => ({ name, shape }));
  const session = await ort.InferenceSession.create(model(declared, output, nodes), { intraOpNumThreads: os.cpus().length });
  const feeds = Object.fromEntries(Object.entries(inputs).map(([name, { shape, data }]) => [name, new ort.Tensor('float32', data, shape)]));
  return {
    run: async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) await session.run(feeds);
    },
    check: async () => digest(/** @type {Float32Array} */ ((await session.run(feeds)).y.data)),
  };
}

const ops = {
  matmul: (/** @type {any} */ { M, K, N, transposeA = false, transposeB = false }) =>
    prepared(
      {
        a: { shape: transposeA ? [K, M] : [M, K], data: values(M * K, 1) },
        b: { shape: transposeB ? [N, K] : [K, N], data: values(K * N, 2) },
      },
      [M, N],
      [{ op: 'Gemm', inputs: ['a', 'b'], output: 'y', ints: { transA: Number(transposeA), transB: Number(transposeB) } }],
    ),
  softmax: (/** @type {any} */ { rows, columns }) =>
    prepared(
      { x: { shape: [rows, columns], data: values(rows * columns, 1, 4) } },
      [rows, columns],
      [{ op: 'Softmax', inputs: ['x'], output: 'y' }],
    ),
  layernorm: (/** @type {any} */ { rows, columns }) =>
    prepared(
      {
        x: { shape: [rows, columns], data: values(rows * columns, 1) },
        w: { shape: [columns], data: values(columns, 2) },
        b: { shape: [columns], data: values(columns, 3) },
      },
      [rows, columns],
      [{ op: 'LayerNormalization', inputs: ['x', 'w', 'b'], output: 'y' }],
    ),
};

const { version } = JSON.parse(readFileSync(new URL('./node_modules/onnxruntime-node/package.json', import.meta.url), 'utf8'));
await serve({ open: async () => ({ describe: `onnxruntime-node ${version}, ${os.cpus().length} threads`, ops }) });
