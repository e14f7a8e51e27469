/** TensorFlow.js on its webgpu backend. */
import { createRequire } from 'node:module';
import { serve } from '../serve.mjs';
import { ADAMW, GPT, initialParameters } from '../tensor/gpt.mjs';
import { digest, integers, values } from '../tensor/inputs.mjs';
import { finishDevices, provideWebGpu, sleepingWait } from '../webgpu-node.mjs';

// Its request for this feature is refused by Dawn on Vulkan.
provideWebGpu({ hiddenFeatures: ['bgra8unorm-storage'] });
const require = createRequire(import.meta.url);
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-webgpu');

/** Commands are recorded until somebody reads: submits them. */
function flush() {
  const backend = tf.backend();
  if (backend.commandEncoder === null) return;
  backend.endComputePassEncoder();
  backend.submitQueue();
}
const finish = async () => {
  flush();
  await finishDevices();
};
const read = (/** @type {any} */ x) => {
  flush();
  return sleepingWait(x.data());
};

/** @param {any[]} inputs @param {(...xs: any[]) => any[]} f */
function prepared(inputs, f) {
  const call = () => tf.tidy(() => f(...inputs));
  return {
    run: async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) {
        tf.dispose(call());
        flush();
      }
      await finish();
    },
    check: async () => {
      const results = call();
      const numbers = [];
      for (const x of results) numbers.push(...digest(await read(x)));
      tf.dispose(results);
      return numbers;
    },
    dispose: () => tf.dispose(inputs),
  };
}

function attend(
  /** @type {any} */ qkv,
  /** @type {number} */ B,
  /** @type {number} */ T,
  /** @type {number} */ H,
  /** @type {number} */ D,
) {
  const [q, k, v] = tf.split(qkv, 3, 2).map((/** @type {any} */ part) => tf.transpose(tf.reshape(part, [B, T, H, D]), [0, 2, 1, 3]));
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(D));
  const mask = tf.linalg.bandPart(tf.ones([T, T]), -1, 0);
  const masked = tf.add(scores, tf.mul(tf.sub(mask, 1), 1e9));
  return tf.reshape(tf.transpose(tf.matMul(tf.softmax(masked), v), [0, 2, 1, 3]), [B, T, H * D]);
}

function norm(/** @type {any} */ x, /** @type {any} */ w, /** @type {any} */ b) {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), w), b);
}

const gelu = (/** @type {any} */ x) =>
  tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI))), 1));

function meanLoss(/** @type {any} */ logits, /** @type {any} */ targets, /** @type {number} */ V) {
  return tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), tf.oneHot(targets, V)), -1)));
}

/** A product of [.., d] with a matrix. */
function linear(/** @type {any} */ x, /** @type {any} */ w, /** @type {any} */ b) {
  const rows = tf.reshape(x, [-1, x.shape[x.rank - 1]]);
  return tf.reshape(tf.add(tf.matMul(rows, w), b), [...x.shape.slice(0, -1), w.shape[1]]);
}

/** @param {Record<string, any>} p @param {any} x @param {(qkv: any, layer: number) => any} attention */
function blocks(p, x, attention) {
  for (let l = 0; l < GPT.layers; l++) {
    const dense = (/** @type {any} */ h, /** @type {string} */ name) => linear(h, p[`${l}.${name}`], p[`${l}.${name}b`]);
    x = tf.add(x, dense(attention(dense(norm(x, p[`${l}.norm1`], p[`${l}.norm1b`]), 'qkv'), l), 'proj'));
    x = tf.add(x, dense(gelu(dense(norm(x, p[`${l}.norm2`], p[`${l}.norm2b`]), 'up')), 'down'));
  }
  return norm(x, p.norm, p.normb);
}

/** @returns {any[]} new parameter and moments */
function adamw(/** @type {any} */ p, /** @type {any} */ m, /** @type {any} */ v, /** @type {any} */ g, /** @type {number} */ step) {
  const { rate, beta1, beta2, eps, decay } = ADAMW;
  const newM = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
  const newV = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
  const direction = tf.div(tf.div(newM, 1 - beta1 ** step), tf.add(tf.sqrt(tf.div(newV, 1 - beta2 ** step)), eps));
  return [tf.sub(tf.mul(p, 1 - rate * decay), tf.mul(direction, rate)), newM, newV];
}

/** Parameters with their moments. */
class State {
  constructor(/** @type {Record<string, { data: Float32Array, shape: number[] }>} */ initial) {
    this.names = Object.keys(initial);
    this.p = this.names.map((name) => tf.variable(tf.tensor(initial[name].data, initial[name].shape)));
    this.m = this.names.map((name) => tf.variable(tf.zeros(initial[name].shape)));
    this.v = this.names.map((name) => tf.variable(tf.zeros(initial[name].shape)));
    this.step = 0;
  }
  update(/** @type {any[]} */ gradients) {
    this.step++;
    gradients.forEach((g, i) => {
      const [p, m, v] = tf.tidy(() => adamw(this.p[i], this.m[i], this.v[i], g, this.step));
      this.p[i].assign(p);
      this.m[i].assign(m);
      this.v[i].assign(v);
      tf.dispose([p, m, v]);
    });
  }
  get tree() {
    return Object.fromEntries(this.names.map((name, i) => [name, this.p[i]]));
  }
  dispose() {
    tf.dispose([this.p, this.m, this.v]);
  }
}

const ops = {
  matmul: (/** @type {any} */ { M, K, N, transposeA = false, transposeB = false }) =>
    prepared(
      [tf.tensor(values(M * K, 1), transposeA ? [K, M] : [M, K]), tf.tensor(values(K * N, 2), transposeB ? [N, K] : [K, N])],
      (a, b) => [tf.matMul(a, b, transposeA, transposeB)],
    ),
  softmax: (/** @type {any} */ { rows, columns }) =>
    prepared([tf.tensor(values(rows * columns, 1, 4), [rows, columns])], (x) => [tf.softmax(x)]),
  layernorm: (/** @type {any} */ { rows, columns }) =>
    prepared(
      [tf.tensor(values(rows * columns, 1), [rows, columns]), tf.tensor(values(columns, 2)), tf.tensor(values(columns, 3))],
      (x, w, b) => [norm(x, w, b)],
    ),
  attention: (/** @type {any} */ { B, H, T, D }) =>
    prepared([tf.tensor(values(B * T * 3 * H * D, 1), [B, T, 3 * H * D])], (qkv) => [attend(qkv, B, T, H, D)]),
  'attention-backward': (/** @type {any} */ { B, H, T, D }) =>
    prepared(
      [tf.tensor(values(B * T * 3 * H * D, 1), [B, T, 3 * H * D]), tf.tensor(values(B * T * H * D, 2), [B, T, H * D])],
      (qkv, dy) => [tf.grad((/** @type {any} */ x) => attend(x, B, T, H, D))(qkv, dy)],
    ),
  'embedding-backward': (/** @type {any} */ { positions, rows, columns }) =>
    prepared(
      [tf.tensor(values(positions * columns, 1), [positions, columns]), tf.tensor(integers(positions, 2, rows), [positions], 'int32')],
      (dy, ids) => [tf.unsortedSegmentSum(dy, ids, rows)],
    ),
  'cross-entropy': (/** @type {any} */ { rows, columns }) =>
    prepared(
      [tf.tensor(values(rows * columns, 1, 4), [rows, columns]), tf.tensor(integers(rows, 2, columns), [rows], 'int32')],
      (logits, targets) => {
        const { value, grad } = tf.valueAndGrad((/** @type {any} */ x) => meanLoss(x, targets, columns))(logits);
        return [value, grad];
      },
    ),
  adamw: (/** @type {any} */ { size }) => {
    const state = new State({ p: { data: values(size, 1), shape: [size] } });
    const g = tf.tensor(values(size, 2));
    const run = async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) state.update([g]);
      await finish();
    };
    return {
      run,
      check: async () => {
        await run(1);
        return digest(await read(state.p[0]));
      },
      dispose: () => {
        state.dispose();
        g.dispose();
      },
    };
  },
  'train-step': () => {
    const { batch, context, width, heads, vocabulary } = GPT;
    const state = new State(initialParameters());
    const tokens = tf.tensor(integers(batch * context, 1, vocabulary), [batch * context], 'int32');
    const targets = tf.tensor(integers(batch * context, 2, vocabulary), [batch * context], 'int32');
    const once = () => {
      const loss = (/** @type {any[]} */ ...parameters) => {
        const p = Object.fromEntries(state.names.map((name, i) => [name, parameters[i]]));
        const x = tf.add(tf.reshape(tf.gather(p.wte, tokens), [batch, context, width]), tf.slice(p.wpe, [0, 0], [context, width]));
        const h = blocks(p, x, (qkv) => attend(qkv, batch, context, heads, width / heads));
        return meanLoss(tf.matMul(tf.reshape(h, [-1, width]), p.wte, false, true), targets, vocabulary);
      };
      const { value, grads } = tf.tidy(() => tf.valueAndGrads(loss)(state.p));
      state.update(grads);
      tf.dispose(grads);
      return value;
    };
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) {
          once().dispose();
          await finish();
        }
      },
      check: async () => {
        const losses = [];
        for (let i = 0; i < 3; i++) losses.push((await read(once()))[0]);
        return losses;
      },
      dispose: () => {
        state.dispose();
        tf.dispose([tokens, targets]);
      },
    };
  },
  decode: (/** @type {any} */ { weights }) => {
    const { layers, width, heads, cached } = GPT;
    const p = Object.fromEntries(
      Object.entries(initialParameters(weights)).map(([name, { data, shape }]) => [name, tf.tensor(data, shape)]),
    );
    const cache = Array.from({ length: layers * 2 }, (_, i) => tf.tensor(values(cached * width, 500 + i), [1, cached, width]));
    const token = tf.tensor(Int32Array.of(17), [1], 'int32');
    const once = async () => {
      const logits = tf.tidy(() => {
        const x = tf.reshape(tf.add(tf.gather(p.wte, token), tf.slice(p.wpe, [cached, 0], [1, width])), [1, 1, width]);
        const h = blocks(p, x, (qkv, l) => {
          const [q, k, v] = tf.split(qkv, 3, 2);
          const split = (/** @type {any} */ y) => tf.transpose(tf.reshape(y, [1, -1, heads, width / heads]), [0, 2, 1, 3]);
          const [keys, all] = [tf.concat([cache[2 * l], k], 1), tf.concat([cache[2 * l + 1], v], 1)];
          const scores = tf.mul(tf.matMul(split(q), split(keys), false, true), 1 / Math.sqrt(width / heads));
          return tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), split(all)), [0, 2, 1, 3]), [1, 1, width]);
        });
        return tf.matMul(tf.reshape(h, [1, width]), p.wte, false, true);
      });
      const data = await read(logits);
      logits.dispose();
      return data;
    };
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) await once();
      },
      check: async () => digest(await once()),
      dispose: () => tf.dispose([Object.values(p), cache, token]),
    };
  },
};

await serve({
  open: async () => {
    await tf.setBackend('webgpu');
    await tf.ready();
    return { describe: `tfjs ${tf.version.tfjs}, ${tf.getBackend()}`, ops };
  },
});
