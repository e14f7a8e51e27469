/** The engine of this repository. */
import {
  AdamW,
  cachedAttention,
  causalAttention,
  crossEntropy,
  dequantize,
  gelu,
  grad,
  hostTensor,
  layerNorm,
  openDevice,
  quantize,
  quantizedShapes,
  softmax,
  update,
  writeRows,
} from '@sconelm/tensor-webgpu';
import { serve } from '../serve.mjs';
import { ADAMW, GPT, initialParameters, quantisedAs } from './gpt.mjs';
import { digest, integers, values } from './inputs.mjs';

/** @typedef {import('@sconelm/tensor-webgpu').Tensor} Tensor */

/** @type {import('@sconelm/tensor-webgpu').Device} */
let device;

/** A case whose inputs stay on the device. @param {Record<string, { shape: number[], data: import('@sconelm/tensor-webgpu').TypedArray }>} inputs @param {(xs: Record<string, Tensor>) => Record<string, Tensor>} build */
function onDevice(inputs, build) {
  const set = device.variables(
    Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data }]) => [name, { shape, dtype: data instanceof Int32Array ? 'i32' : 'f32' }]),
    ),
  );
  for (const [name, { data }] of Object.entries(inputs)) set.get(name).write(data);
  const program = device.compile(() => ({ outputs: build(Object.fromEntries(set.names.map((name) => [name, set.get(name).tensor]))) }));
  return {
    run: async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) program.run({});
      await device.finish();
    },
    check: async () => (await Promise.all(Object.values(program.run({})).map((result) => result.data()))).flatMap((data) => digest(data)),
    dispose: () => {
      program[Symbol.dispose]();
      set[Symbol.dispose]();
    },
  };
}

function gptParameters() {
  const initial = initialParameters();
  const parameters = device.variables(Object.fromEntries(Object.entries(initial).map(([name, { shape }]) => [name, { shape }])));
  for (const [name, { data }] of Object.entries(initial)) parameters.get(name).write(data);
  return parameters;
}

function plainParameters() {
  const set = gptParameters();
  return { set, p: (/** @type {string} */ name) => set.get(name).tensor };
}

/** Matrices quantised by outputs; norms, biases and positions as they are. @param {import('@sconelm/tensor-webgpu').QuantizedFormat} format */
function quantizedParameters(format) {
  /** @type {Record<string, import('@sconelm/tensor-webgpu').VariableSpec>} */
  const specs = {};
  /** @type {Map<string, import('@sconelm/tensor-webgpu').TypedArray>} */
  const values = new Map();
  /** @type {Map<string, () => Tensor>} */
  const tensors = new Map();
  for (const [name, { shape, data }] of Object.entries(initialParameters())) {
    const quantised = quantisedAs(name, shape);
    if (quantised === undefined) {
      specs[name] = { shape };
      values.set(name, data);
      tensors.set(name, () => set.get(name).tensor);
      continue;
    }
    const transposed = !quantised.byOutput;
    /** @type {[number, number]} */
    const size = transposed ? [shape[1], shape[0]] : [shape[0], shape[1]];
    const shapes = quantizedShapes(size, format);
    const { words, scales } = quantize(data, size, format, { transposed });
    specs[`${name} words`] = { shape: shapes.words, dtype: 'u32' };
    specs[`${name} scales`] = { shape: shapes.scales };
    values.set(`${name} words`, words).set(`${name} scales`, scales);
    tensors.set(name, () => {
      const w = dequantize(set.get(`${name} words`).tensor, set.get(`${name} scales`).tensor, size, format);
      return transposed ? w.transpose() : w;
    });
  }
  const set = device.variables(specs);
  for (const [name, data] of values) set.get(name).write(data);
  return { set, p: (/** @type {string} */ name) => /** @type {() => Tensor} */ (tensors.get(name))() };
}

/** @param {(name: string) => Tensor} p @param {Tensor} x [.., d] @param {(qkv: Tensor, layer: number) => Tensor} attend */
function blocks(p, x, attend) {
  for (let l = 0; l < GPT.layers; l++) {
    const linear = (/** @type {Tensor} */ h, /** @type {string} */ name) => h.matmul(p(`${l}.${name}`)).add(p(`${l}.${name}b`));
    x = x.add(linear(attend(linear(layerNorm(x, p(`${l}.norm1`), p(`${l}.norm1b`)), 'qkv'), l), 'proj'));
    x = x.add(linear(gelu(linear(layerNorm(x, p(`${l}.norm2`), p(`${l}.norm2b`)), 'up')), 'down'));
  }
  return layerNorm(x, p('norm'), p('normb'));
}

const ops = {
  matmul: (/** @type {any} */ { M, K, N, transposeA = false, transposeB = false }) =>
    onDevice(
      {
        a: { shape: transposeA ? [K, M] : [M, K], data: values(M * K, 1) },
        b: { shape: transposeB ? [N, K] : [K, N], data: values(K * N, 2) },
      },
      ({ a, b }) => ({ y: a.matmul(b, { transposeA, transposeB }) }),
    ),
  softmax: (/** @type {any} */ { rows, columns }) =>
    onDevice({ x: { shape: [rows, columns], data: values(rows * columns, 1, 4) } }, ({ x }) => ({ y: softmax(x) })),
  layernorm: (/** @type {any} */ { rows, columns }) =>
    onDevice(
      {
        x: { shape: [rows, columns], data: values(rows * columns, 1) },
        w: { shape: [columns], data: values(columns, 2) },
        b: { shape: [columns], data: values(columns, 3) },
      },
      ({ x, w, b }) => ({ y: layerNorm(x, w, b) }),
    ),
  attention: (/** @type {any} */ { B, H, T, D }) =>
    onDevice({ qkv: { shape: [B, T, 3 * H * D], data: values(B * T * 3 * H * D, 1) } }, ({ qkv }) => ({
      y: causalAttention(qkv, { heads: H }),
    })),
  'attention-backward': (/** @type {any} */ { B, H, T, D }) =>
    onDevice(
      {
        qkv: { shape: [B, T, 3 * H * D], data: values(B * T * 3 * H * D, 1) },
        dy: { shape: [B, T, H * D], data: values(B * T * H * D, 2) },
      },
      ({ qkv, dy }) => ({ dqkv: grad(causalAttention(qkv, { heads: H }).mul(dy).sum(), [qkv])[0] }),
    ),
  'embedding-backward': (/** @type {any} */ { positions, rows, columns }) =>
    onDevice(
      {
        dy: { shape: [positions, columns], data: values(positions * columns, 1) },
        ids: { shape: [positions], data: integers(positions, 2, rows) },
      },
      ({ dy, ids }) => ({ y: dy.scatterRows(ids, rows) }),
    ),
  'cross-entropy': (/** @type {any} */ { rows, columns }) =>
    onDevice(
      {
        logits: { shape: [rows, columns], data: values(rows * columns, 1, 4) },
        targets: { shape: [rows], data: integers(rows, 2, columns) },
      },
      ({ logits, targets }) => {
        const loss = crossEntropy(logits, targets).mean();
        return { loss, dlogits: grad(loss, [logits])[0] };
      },
    ),
  adamw: (/** @type {any} */ { size }) => {
    const parameters = device.variables({ p: { shape: [size] } });
    parameters.get('p').write(values(size, 1));
    const gradients = device.variables({ g: { shape: [size] } });
    gradients.get('g').write(values(size, 2));
    const optimizer = new AdamW(device, parameters, {
      beta1: ADAMW.beta1,
      beta2: ADAMW.beta2,
      eps: ADAMW.eps,
      clipNorm: Number.POSITIVE_INFINITY,
      group: () => ({ weightDecay: ADAMW.decay, rateFactor: 1 }),
    });
    const program = device.compile((/** @type {{ rates: Tensor }} */ { rates }) => ({
      outputs: {},
      updates: optimizer.step([gradients.get('g').tensor], rates).updates,
    }));
    let step = 0;
    const run = async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) program.run({ rates: hostTensor(optimizer.rates(++step, ADAMW.rate)) });
      await device.finish();
    };
    return {
      run,
      check: async () => {
        await run(1);
        return digest(await parameters.get('p').read());
      },
      dispose: () => {
        for (const one of [program, optimizer, parameters, gradients]) one[Symbol.dispose]();
      },
    };
  },
  'train-step': () => {
    const { batch, context, width, vocabulary, heads } = GPT;
    const parameters = gptParameters();
    const p = (/** @type {string} */ name) => parameters.get(name).tensor;
    const optimizer = new AdamW(device, parameters, {
      beta1: ADAMW.beta1,
      beta2: ADAMW.beta2,
      eps: ADAMW.eps,
      clipNorm: Number.POSITIVE_INFINITY,
      group: () => ({ weightDecay: ADAMW.decay, rateFactor: 1 }),
    });
    const program = device.compile((/** @type {Record<'tokens' | 'targets' | 'rates', Tensor>} */ { tokens, targets, rates }) => {
      const x = p('wte')
        .gatherRows(tokens)
        .add(p('wpe').slice([0, 0], [context, width]));
      const h = blocks(p, x, (qkv) => causalAttention(qkv, { heads }));
      const logits = h.reshape([batch * context, width]).matmul(p('wte'), { transposeB: true });
      const loss = crossEntropy(logits, targets).mean();
      return { outputs: { loss }, updates: optimizer.step(grad(loss, parameters.names.map(p)), rates).updates };
    });
    const inputs = {
      tokens: hostTensor(integers(batch * context, 1, vocabulary), [batch, context]),
      targets: hostTensor(integers(batch * context, 2, vocabulary)),
    };
    let step = 0;
    const once = () => program.run({ ...inputs, rates: hostTensor(optimizer.rates(++step, ADAMW.rate)) });
    /** @type {Record<string, unknown>} */
    const facts = {};
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) {
          const started = performance.now();
          once();
          facts.jsMs = performance.now() - started;
          await device.finish();
        }
      },
      check: async () => {
        const losses = [];
        const started = performance.now();
        for (let i = 0; i < 3; i++) {
          losses.push((await once().loss.data())[0]);
          if (i === 0) Object.assign(facts, { firstStepMs: performance.now() - started });
        }
        Object.assign(facts, program.report({ ...inputs, rates: hostTensor(optimizer.rates(1, 1)) }));
        return losses;
      },
      facts,
      dispose: () => {
        for (const one of [program, optimizer, parameters]) one[Symbol.dispose]();
      },
    };
  },
  decode: (/** @type {any} */ { weights = 'f32' }) => {
    const { layers, width, heads, cached } = GPT;
    const { set: parameters, p } = weights === 'f32' ? plainParameters() : quantizedParameters(weights);
    const capacity = cached + 64;
    const cache = device.variables(
      Object.fromEntries(Array.from({ length: layers }, (_, l) => [`${l}`, { shape: [1, capacity, 2 * width] }])),
    );
    for (let l = 0; l < layers; l++) {
      const rows = new Float32Array(capacity * 2 * width);
      const [k, v] = [0, 1].map((part) => values(cached * width, 500 + 2 * l + part));
      for (let i = 0; i < cached; i++) {
        rows.set(k.subarray(i * width, (i + 1) * width), 2 * i * width);
        rows.set(v.subarray(i * width, (i + 1) * width), (2 * i + 1) * width);
      }
      cache.get(`${l}`).write(rows);
    }
    const program = device.compile((/** @type {Record<'token' | 'length', Tensor>} */ { token, length }) => {
      /** @type {import('@sconelm/tensor-webgpu').Update[]} */
      const updates = [];
      const x = p('wte').gatherRows(token).add(p('wpe').gatherRows(length)).reshape([1, 1, width]);
      const h = blocks(p, x, (qkv, l) => {
        const rows = cache.get(`${l}`);
        updates.push(update(rows, writeRows(rows.tensor, qkv, length, { column: width })));
        return cachedAttention(qkv, rows.tensor, length, { heads });
      });
      return { outputs: { logits: h.reshape([1, width]).matmul(p('wte'), { transposeB: true }) }, updates };
    });
    const inputs = { token: hostTensor(Int32Array.of(17)), length: hostTensor(Int32Array.of(cached)) };
    return {
      // Decoding waits for every token: the next one depends on it.
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) await program.run(inputs).logits.data();
      },
      check: async () => digest(await program.run(inputs).logits.data()),
      dispose: () => {
        for (const one of [program, cache, parameters]) one[Symbol.dispose]();
      },
    };
  },
};

await serve({
  open: async () => {
    device = await openDevice();
    return { describe: device.info.description || device.info.vendor, ops };
  },
});
