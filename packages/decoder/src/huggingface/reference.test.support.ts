/** Every layout's forward pass once more, for tests: loops over numbers in double precision, from tensors by their names in the files. */

export type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>;
/** What JSON.parse says of an object. */
export type ConfigFile = Readonly<Record<string, ReturnType<typeof JSON.parse>>>;
type Vector = number[];
/** The sequence's vectors, one a position. */
type Rows = Vector[];

const dot = (a: ArrayLike<number>, b: ArrayLike<number>, count: number, aAt = 0, bAt = 0) => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[aAt + i] * b[bAt + i];
  return sum;
};
const plus = (a: Vector, b: Vector) => a.map((value, i) => value + b[i]);
const addAll = (a: Rows, b: Rows) => a.map((row, t) => plus(row, b[t]));

/** W stored [out, in]. */
function project(tensors: Tensors, name: string, x: Vector): Vector {
  const { shape, data } = tensors.get(`${name}.weight`)!;
  const bias = tensors.get(`${name}.bias`)?.data;
  return Array.from({ length: shape[0] }, (_, o) => dot(data, x, shape[1], o * shape[1]) + (bias?.[o] ?? 0));
}

function layerNorm(x: Vector, eps: number, weight?: ArrayLike<number>, bias?: ArrayLike<number>): Vector {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + eps)) * (weight?.[i] ?? 1) + (bias?.[i] ?? 0));
}

function rmsNorm(x: Vector, eps: number, weight: ArrayLike<number>): Vector {
  const r = 1 / Math.sqrt(dot(x, x, x.length) / x.length + eps);
  return x.map((value, i) => value * r * weight[i]);
}

/** Head h of queries looks at head floor(h · G / H) of keys. */
function attend(q: Rows, k: Rows, v: Rows, heads: number, keyHeads: number): Rows {
  const d = q[0].length / heads;
  return q.map((query, t) => {
    const out: Vector = [];
    for (let h = 0; h < heads; h++) {
      const g = Math.floor((h * keyHeads) / heads);
      const scores = Array.from({ length: t + 1 }, (_, s) => dot(query, k[s], d, h * d, g * d) / Math.sqrt(d));
      const top = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - top));
      const total = weights.reduce((a, b) => a + b, 0);
      for (let i = 0; i < d; i++) out.push(weights.reduce((sum, w, s) => sum + (w / total) * v[s][g * d + i], 0));
    }
    return out;
  });
}

/** Rotates as x · cos + rotate_half(x) · sin, with frequencies by wavelength where they are scaled. */
function rotate(x: Vector, position: number, headDim: number, json: ConfigFile): Vector {
  const scaling = json.rope_scaling;
  return x.map((value, at) => {
    const i = at % headDim;
    const half = headDim / 2;
    let frequency = 1 / (json.rope_theta ?? 10_000) ** ((2 * (i % half)) / headDim);
    if (scaling?.rope_type === 'linear') frequency /= scaling.factor;
    if (scaling?.rope_type === 'llama3') {
      const wavelength = (2 * Math.PI) / frequency;
      const { factor, low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = scaling;
      if (wavelength > original / low) frequency /= factor;
      else if (wavelength >= original / high) {
        const smooth = (original / wavelength - low) / (high - low);
        frequency = ((1 - smooth) * frequency) / factor + smooth * frequency;
      }
    }
    const partner = i < half ? -x[at + half] : x[at - half];
    return value * Math.cos(position * frequency) + partner * Math.sin(position * frequency);
  });
}

const silu = (x: number) => x / (1 + Math.exp(-x));
const geluTanh = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const swiglu = (tensors: Tensors, at: string, x: Vector) => {
  const [gate, up] = [project(tensors, `${at}.gate_proj`, x), project(tensors, `${at}.up_proj`, x)];
  return project(
    tensors,
    `${at}.down_proj`,
    gate.map((value, i) => silu(value) * up[i]),
  );
};
const embed = (tensors: Tensors, name: string, tokens: readonly number[]): Rows => {
  const { shape, data } = tensors.get(name)!;
  return tokens.map((token) => Array.from({ length: shape[1] }, (_, i) => data[token * shape[1] + i]));
};
const perHead = (x: Vector, headDim: number, each: (head: Vector) => Vector): Vector =>
  Array.from({ length: x.length / headDim }, (_, h) => each(x.slice(h * headDim, (h + 1) * headDim))).flat();

function gpt2(tensors: Tensors, json: ConfigFile, tokens: readonly number[]): Rows {
  const weight = (name: string) => tensors.get(`transformer.${name}`)!.data;
  const eps = json.layer_norm_epsilon;
  /** W stored [in, out]. */
  const convolve = (name: string, x: Vector) => {
    const { shape, data } = tensors.get(`transformer.${name}.weight`)!;
    return Array.from(
      { length: shape[1] },
      (_, o) => x.reduce((sum, value, i) => sum + value * data[i * shape[1] + o], 0) + weight(`${name}.bias`)[o],
    );
  };
  const norm = (name: string, x: Vector) => layerNorm(x, eps, weight(`${name}.weight`), weight(`${name}.bias`));
  const positions = embed(tensors, 'transformer.wpe.weight', [...tokens.keys()]);
  let x = addAll(embed(tensors, 'transformer.wte.weight', tokens), positions);
  for (let layer = 0; layer < json.n_layer; layer++) {
    const at = `h.${layer}`;
    const d = json.n_embd;
    const qkv = x.map((row) => convolve(`${at}.attn.c_attn`, norm(`${at}.ln_1`, row)));
    const [q, k, v] = [0, 1, 2].map((part) => qkv.map((row) => row.slice(part * d, (part + 1) * d)));
    x = addAll(
      x,
      attend(q, k, v, json.n_head, json.n_head).map((row) => convolve(`${at}.attn.c_proj`, row)),
    );
    x = x.map((row) => plus(row, convolve(`${at}.mlp.c_proj`, convolve(`${at}.mlp.c_fc`, norm(`${at}.ln_2`, row)).map(geluTanh))));
  }
  return x.map((row) => project(tensors, 'transformer.wte', norm('ln_f', row)));
}

/** What differs between Llama's relatives; each is written out below. */
interface Relative {
  readonly block: (x: Rows, at: string, attention: (x: Rows) => Rows, mlp: (x: Vector) => Vector) => Rows;
  readonly queries?: (x: Vector, at: string) => Vector;
  readonly keys?: (x: Vector, at: string) => Vector;
  readonly projected?: (x: Vector) => Vector;
  readonly last: (x: Vector) => Vector;
}

function relative(tensors: Tensors, json: ConfigFile, tokens: readonly number[], own: Relative): Rows {
  const heads: number = json.num_attention_heads;
  const keyHeads: number = json.num_key_value_heads ?? heads;
  const headDim: number = json.head_dim ?? json.hidden_size / heads;
  const same = (x: Vector) => x;
  const clip = own.projected ?? same;
  let x = embed(tensors, 'model.embed_tokens.weight', tokens);
  for (let layer = 0; layer < json.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const attention = (h: Rows) => {
      const placed = (name: string, norm: (x: Vector, at: string) => Vector) =>
        h.map((row, t) => rotate(norm(clip(project(tensors, `${at}.self_attn.${name}`, row)), at), t, headDim, json));
      const [q, k] = [placed('q_proj', own.queries ?? same), placed('k_proj', own.keys ?? same)];
      const v = h.map((row) => clip(project(tensors, `${at}.self_attn.v_proj`, row)));
      return attend(q, k, v, heads, keyHeads).map((row) => project(tensors, `${at}.self_attn.o_proj`, row));
    };
    x = own.block(x, at, attention, (row) => swiglu(tensors, `${at}.mlp`, row));
  }
  const head = json.tie_word_embeddings === true ? 'model.embed_tokens' : 'lm_head';
  return x.map((row) => project(tensors, head, own.last(row)));
}

function llama(tensors: Tensors, json: ConfigFile, tokens: readonly number[], more: Partial<Relative> = {}): Rows {
  const norm = (name: string, x: Vector) => rmsNorm(x, json.rms_norm_eps, tensors.get(`${name}.weight`)!.data);
  return relative(tensors, json, tokens, {
    block: (x, at, attention, mlp) => {
      const attended = addAll(x, attention(x.map((row) => norm(`${at}.input_layernorm`, row))));
      return attended.map((row) => plus(row, mlp(norm(`${at}.post_attention_layernorm`, row))));
    },
    last: (x) => norm('model.norm', x),
    ...more,
  });
}

/** As Llama; the biases at queries, keys and values are there, so they are added. */
const qwen2 = llama;

function qwen3(tensors: Tensors, json: ConfigFile, tokens: readonly number[]): Rows {
  const norm = (name: string) => (x: Vector, at: string) =>
    perHead(x, json.head_dim, (head) => rmsNorm(head, json.rms_norm_eps, tensors.get(`${at}.self_attn.${name}.weight`)!.data));
  return llama(tensors, json, tokens, { queries: norm('q_norm'), keys: norm('k_norm') });
}

function olmo(tensors: Tensors, json: ConfigFile, tokens: readonly number[]): Rows {
  const norm = (x: Vector) => layerNorm(x, 1e-5);
  const most = json.clip_qkv ?? Infinity;
  return relative(tensors, json, tokens, {
    block: (x, _, attention, mlp) => addAll(x, attention(x.map(norm))).map((row) => plus(row, mlp(norm(row)))),
    projected: (x) => x.map((value) => Math.min(most, Math.max(-most, value))),
    last: norm,
  });
}

function olmo2(tensors: Tensors, json: ConfigFile, tokens: readonly number[]): Rows {
  const norm = (name: string, x: Vector) => rmsNorm(x, json.rms_norm_eps, tensors.get(`${name}.weight`)!.data);
  return relative(tensors, json, tokens, {
    block: (x, at, attention, mlp) => {
      const attended = addAll(
        x,
        attention(x).map((row) => norm(`${at}.post_attention_layernorm`, row)),
      );
      return attended.map((row) => plus(row, norm(`${at}.post_feedforward_layernorm`, mlp(row))));
    },
    queries: (x, at) => norm(`${at}.self_attn.q_norm`, x),
    keys: (x, at) => norm(`${at}.self_attn.k_norm`, x),
    last: (x) => norm('model.norm', x),
  });
}

/** Logits per position, by `model_type`. */
export const references: Readonly<Record<string, (tensors: Tensors, json: ConfigFile, tokens: readonly number[]) => Rows>> = {
  gpt2,
  llama,
  qwen2,
  qwen3,
  olmo,
  olmo2,
};
