/** jax-js on its webgpu or wasm backend: node jax.mjs webgpu|wasm. Its functions consume their arguments; `.ref` keeps one. */
import process from 'node:process';
import { serve } from '../serve.mjs';
import { ADAMW, GPT, initialParameters } from '../tensor/gpt.mjs';
import { digest, integers, values } from '../tensor/inputs.mjs';
import { finishDevices, provideWebGpu, sleepingWait } from '../webgpu-node.mjs';

const backend = process.argv[2] === 'wasm' ? 'wasm' : 'webgpu';
if (backend === 'webgpu') provideWebGpu();
else if (!('navigator' in globalThis)) Object.assign(globalThis, { navigator: {} });

// Node 20 lacks the iterator helpers that jax-js uses.
const prototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
if (!('map' in prototype)) {
  Object.assign(prototype, {
    *map(/** @type {(x: unknown, i: number) => unknown} */ f) {
      let i = 0;
      for (const x of /** @type {any} */ (this)) yield f(x, i++);
    },
    *filter(/** @type {(x: unknown) => boolean} */ f) {
      for (const x of /** @type {any} */ (this)) if (f(x)) yield x;
    },
    toArray() {
      return [.../** @type {any} */ (this)];
    },
  });
}

const jax = await import('@jax-js/jax');
const { numpy: np, nn } = jax;

const array = (/** @type {any} */ data, /** @type {number[]} */ shape) =>
  np.array(data, data instanceof Int32Array ? { dtype: np.int32 } : {}).reshape(shape);
/** Every array's data, in order. */
const read = async (/** @type {any[]} */ xs) => {
  const all = [];
  for (const x of xs) all.push(await sleepingWait(x.data()));
  return all;
};
/** Computes arrays that are not computed yet (nothing runs before somebody asks), waits for all, frees them. */
const settle = async (/** @type {any[]} */ xs) => {
  await sleepingWait(Promise.all(xs.map((x) => x.blockUntilReady())));
  if (backend === 'webgpu') await finishDevices();
  for (const x of xs) x.dispose();
};

/** @param {any[]} inputs @param {(...xs: any[]) => any[]} f consumes its arguments */
function compiled(inputs, f) {
  const g = jax.jit(f);
  const call = () => g(...inputs.map((x) => x.ref));
  return {
    run: async (/** @type {number} */ times) => {
      // In flights of eight, so that waiting for one overlaps with computing the next.
      for (let done = 0; done < times; done += 8) await settle(Array.from({ length: Math.min(8, times - done) }, call).flat());
    },
    check: async () => (await read(call())).flatMap((data) => digest(data)),
    dispose: () => {
      for (const x of inputs) x.dispose();
    },
  };
}

function attend(
  /** @type {any} */ qkv,
  /** @type {number} */ B,
  /** @type {number} */ T,
  /** @type {number} */ H,
  /** @type {number} */ D,
) {
  const [q, k, v] = np.split(qkv, 3, 2).map((part) => part.reshape([B, T, H, D]));
  return nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([B, T, H * D]);
}

const norm = (/** @type {any} */ x, /** @type {any} */ w, /** @type {any} */ b) => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(w).add(b);

/** Mean cross-entropy by a comparison mask: a gradient by scatter fails in its jit. */
function meanLoss(/** @type {any} */ logits, /** @type {any} */ targets, /** @type {number} */ N, /** @type {number} */ V) {
  const mask = np.equal(targets.reshape([N, 1]), np.arange(V).reshape([1, V]));
  return np
    .where(mask, nn.logSoftmax(logits), 0)
    .sum()
    .mul(-1 / N);
}

/** @param {Record<string, any>} p @param {any} x @param {(qkv: any, layer: number) => any} attention */
function blocks(p, x, attention) {
  for (let l = 0; l < GPT.layers; l++) {
    const linear = (/** @type {any} */ h, /** @type {string} */ name) => np.matmul(h, p[`${l}.${name}`]).add(p[`${l}.${name}b`]);
    const a = linear(attention(linear(norm(x.ref, p[`${l}.norm1`], p[`${l}.norm1b`]), 'qkv'), l), 'proj');
    x = x.add(a);
    x = x.add(linear(nn.gelu(linear(norm(x.ref, p[`${l}.norm2`], p[`${l}.norm2b`]), 'up')), 'down'));
  }
  return norm(x, p.norm, p.normb);
}

/** @param {'f32' | 'int8' | 'int4'} [weights] */
function parameters(weights) {
  return Object.fromEntries(Object.entries(initialParameters(weights)).map(([name, { shape, data }]) => [name, array(data, shape)]));
}
const refs = (/** @type {Record<string, any>} */ tree) => Object.fromEntries(Object.entries(tree).map(([name, x]) => [name, x.ref]));

/** One AdamW update of one array: [p, m, v]. */
function adamw(
  /** @type {any} */ p,
  /** @type {any} */ m,
  /** @type {any} */ v,
  /** @type {any} */ g,
  /** @type {any} */ c1,
  /** @type {any} */ c2,
) {
  const { rate, beta1, beta2, eps, decay } = ADAMW;
  const newM = m.mul(beta1).add(g.ref.mul(1 - beta1));
  const newV = v.mul(beta2).add(g.ref.mul(g).mul(1 - beta2));
  const direction = newM.ref.mul(c1).div(np.sqrt(newV.ref.mul(c2)).add(eps));
  return [p.mul(1 - rate * decay).sub(direction.mul(rate)), newM, newV];
}
/** 1 / (1 − βᵗ), as scalars. */
const corrections = (/** @type {number} */ step) => [ADAMW.beta1, ADAMW.beta2].map((beta) => np.array(1 / (1 - beta ** step)));

const ops = {
  matmul: (/** @type {any} */ { M, K, N, transposeA = false, transposeB = false }) =>
    compiled([array(values(M * K, 1), transposeA ? [K, M] : [M, K]), array(values(K * N, 2), transposeB ? [N, K] : [K, N])], (a, b) => [
      np.matmul(transposeA ? np.transpose(a) : a, transposeB ? np.transpose(b) : b),
    ]),
  softmax: (/** @type {any} */ { rows, columns }) =>
    compiled([array(values(rows * columns, 1, 4), [rows, columns])], (x) => [nn.softmax(x)]),
  layernorm: (/** @type {any} */ { rows, columns }) =>
    compiled(
      [array(values(rows * columns, 1), [rows, columns]), array(values(columns, 2), [columns]), array(values(columns, 3), [columns])],
      (x, w, b) => [norm(x, w, b)],
    ),
  attention: (/** @type {any} */ { B, H, T, D }) =>
    compiled([array(values(B * T * 3 * H * D, 1), [B, T, 3 * H * D])], (qkv) => [attend(qkv, B, T, H, D)]),
  'attention-backward': (/** @type {any} */ { B, H, T, D }) =>
    compiled([array(values(B * T * 3 * H * D, 1), [B, T, 3 * H * D]), array(values(B * T * H * D, 2), [B, T, H * D])], (qkv, dy) => [
      jax.grad((/** @type {any} */ x) => attend(x, B, T, H, D).mul(dy).sum())(qkv),
    ]),
  'embedding-backward': (/** @type {any} */ { positions, rows, columns }) => {
    const [dy, ids] = [array(values(positions * columns, 1), [positions, columns]), array(integers(positions, 2, rows), [positions])];
    // Not through jit: scatter of a computed value fails there.
    const call = () => jax.grad((/** @type {any} */ table) => np.take(table, ids.ref, 0).mul(dy.ref).sum())(np.zeros([rows, columns]));
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) await settle([call()]);
      },
      check: async () => digest(await sleepingWait(call().data())),
    };
  },
  'cross-entropy': (/** @type {any} */ { rows, columns }) =>
    compiled([array(values(rows * columns, 1, 4), [rows, columns]), array(integers(rows, 2, columns), [rows])], (logits, targets) =>
      jax.valueAndGrad((/** @type {any} */ x) => meanLoss(x, targets, rows, columns))(logits),
    ),
  adamw: (/** @type {any} */ { size }) => {
    const g = array(values(size, 2), [size]);
    let state = [array(values(size, 1), [size]), np.zeros([size]), np.zeros([size])];
    const step = jax.jit(adamw);
    let count = 0;
    const run = async (/** @type {number} */ times) => {
      for (let i = 0; i < times; i++) {
        state = step(state[0], state[1], state[2], g.ref, ...corrections(++count));
        await settle(state.map((x) => x.ref));
      }
    };
    return {
      run,
      check: async () => {
        await run(1);
        return digest(await sleepingWait(state[0].ref.data()));
      },
      dispose: () => {
        for (const x of [...state, g]) x.dispose();
      },
    };
  },
  'train-step': () => {
    const { batch, context, width, heads, vocabulary } = GPT;
    let p = parameters();
    let m = Object.fromEntries(Object.entries(p).map(([name, x]) => [name, np.zeros(x.shape)]));
    let v = Object.fromEntries(Object.entries(p).map(([name, x]) => [name, np.zeros(x.shape)]));
    const tokens = array(integers(batch * context, 1, vocabulary), [batch * context]);
    const targets = array(integers(batch * context, 2, vocabulary), [batch * context]);
    const N = batch * context;
    // The embedding's gradient goes through a one-hot product: its scatter fails inside jit.
    const loss = (/** @type {Record<string, any>} */ q, /** @type {any} */ ids, /** @type {any} */ wanted) => {
      const oneHot = np.equal(ids.reshape([N, 1]), np.arange(vocabulary).reshape([1, vocabulary])).astype(np.float32);
      const x = np
        .matmul(oneHot, q.wte.ref)
        .reshape([batch, context, width])
        .add(q.wpe.slice([0, context]));
      const h = blocks(q, x, (qkv) => attend(qkv, batch, context, heads, width / heads));
      return meanLoss(np.matmul(h.reshape([N, width]), np.transpose(q.wte)), wanted, N, vocabulary);
    };
    const gradient = jax.jit((/** @type {any} */ q, /** @type {any} */ ids, /** @type {any} */ wanted) =>
      jax.valueAndGrad((/** @type {any} */ tree) => loss(tree, ids, wanted))(q),
    );
    const update = jax.jit(
      (
        /** @type {any} */ q,
        /** @type {any} */ a,
        /** @type {any} */ b,
        /** @type {any} */ g,
        /** @type {any} */ c1,
        /** @type {any} */ c2,
      ) => {
        /** @type {Record<string, any>[]} */
        const [np_, nm, nv] = [{}, {}, {}];
        for (const name of Object.keys(q)) [np_[name], nm[name], nv[name]] = adamw(q[name], a[name], b[name], g[name], c1.ref, c2.ref);
        c1.dispose();
        c2.dispose();
        return [np_, nm, nv];
      },
    );
    let count = 0;
    const once = () => {
      const [value, g] = gradient(refs(p), tokens.ref, targets.ref);
      [p, m, v] = update(p, m, v, g, ...corrections(++count));
      return [value, ...[p, m, v].flatMap((tree) => Object.values(tree).map((x) => x.ref))];
    };
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) await settle(once());
      },
      check: async () => {
        const losses = [];
        for (let i = 0; i < 3; i++) {
          const [value, ...rest] = once();
          losses.push((await sleepingWait(value.data()))[0]);
          await settle(rest);
        }
        return losses;
      },
      dispose: () => {
        for (const tree of [p, m, v]) for (const x of Object.values(tree)) x.dispose();
      },
    };
  },
  decode: (/** @type {any} */ { weights }) => {
    const { layers, width, heads, cached } = GPT;
    const D = width / heads;
    const p = parameters(weights);
    const cache = Array.from({ length: layers * 2 }, (_, i) => array(values(cached * width, 500 + i), [1, cached, width]));
    const token = array(Int32Array.of(17), [1]);
    const step = jax.jit((/** @type {any} */ q, /** @type {any} */ id, /** @type {any[]} */ rows) => {
      const x = np
        .take(q.wte.ref, id, 0)
        .add(q.wpe.slice([cached, cached + 1]))
        .reshape([1, 1, width]);
      /** @type {any[]} */
      const grown = [];
      const h = blocks(q, x, (qkv, l) => {
        const [query, k, v] = np.split(qkv, 3, 2);
        const keys = np.concatenate([rows[2 * l], k], 1);
        const all = np.concatenate([rows[2 * l + 1], v], 1);
        grown.push(keys.ref, all.ref);
        const split = (/** @type {any} */ y, /** @type {number} */ T) => y.reshape([1, T, heads, D]);
        return nn.dotProductAttention(split(query, 1), split(keys, cached + 1), split(all, cached + 1)).reshape([1, 1, width]);
      });
      return [np.matmul(h.reshape([1, width]), np.transpose(q.wte)), ...grown];
    });
    const once = async () => {
      const [logits, ...grown] = step(
        refs(p),
        token.ref,
        cache.map((x) => x.ref),
      );
      const data = await sleepingWait(logits.data());
      for (const x of grown) x.dispose();
      return data;
    };
    return {
      run: async (/** @type {number} */ times) => {
        for (let i = 0; i < times; i++) await once();
      },
      check: async () => digest(await once()),
    };
  },
};

await serve({
  open: async () => {
    await jax.init(backend);
    jax.defaultDevice(backend);
    return { describe: `@jax-js/jax 0.1.25, ${backend}`, ops };
  },
});
