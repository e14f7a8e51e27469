/** The cases, by the names that rows of `--json` carry. `op` is what an engine implements. */

const product = (/** @type {number} */ M, /** @type {number} */ K, /** @type {number} */ N) => ({ op: 'matmul', M, K, N });

/** @type {readonly ({ name: string, op: string, tolerance?: number } & Record<string, unknown>)[]} */
export const CASES = [
  ...[256, 512, 1024].map((n) => ({ name: `matmul-${n}`, ...product(n, n, n) })),
  ...[1024, 8192].flatMap((N) =>
    ['', '-tn', '-nt'].map((suffix) => ({
      name: `matmul-512x256x${N}${suffix}`,
      ...product(512, 256, N),
      transposeA: suffix === '-tn',
      transposeB: suffix === '-nt',
    })),
  ),
  { name: 'softmax', op: 'softmax', rows: 4096, columns: 512 },
  { name: 'layernorm', op: 'layernorm', rows: 4096, columns: 512 },
  { name: 'attention', op: 'attention', B: 4, H: 4, T: 256, D: 64 },
  { name: 'attention-backward', op: 'attention-backward', B: 4, H: 4, T: 256, D: 64 },
  { name: 'embedding-backward', op: 'embedding-backward', positions: 4096, rows: 8192, columns: 256 },
  { name: 'cross-entropy', op: 'cross-entropy', rows: 1024, columns: 8192 },
  { name: 'adamw', op: 'adamw', size: 10_000_000 },
  { name: 'train-step', op: 'train-step' },
  { name: 'decode', op: 'decode' },
  // Peers have no quantised weights: they compute with the rounded values in f32.
  { name: 'decode-int8', op: 'decode', weights: 'int8' },
  { name: 'decode-int4', op: 'decode', weights: 'int4' },
];
