/** An op of one's own: a WGSL kernel, its meaning in simpler ops (the test's oracle), its gradient. */
import {
  apply,
  defineKernel,
  defineOp,
  grad,
  interpret,
  openDevice,
  ShapeError,
  spread,
  type Tensor,
  tensor,
} from '@sconelm/tensor-webgpu';

const kernel = defineKernel<object>({
  name: 'squared-distances',
  bindings: { x: 'read', y: 'read', d: 'write' },
  uniforms: { N: 'u32', M: 'u32', D: 'u32' },
  wgsl: () => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * 64u + lane;
  if (i >= u.N * u.M) { return; }
  var sum = 0.0;
  for (var k = 0u; k < u.D; k++) {
    let difference = x[i / u.M * u.D + k] - y[i % u.M * u.D + k];
    sum += difference * difference;
  }
  d[i] = sum;
}`,
});

const squaredDistancesOp = defineOp<Readonly<Record<string, never>>>({
  name: 'squaredDistances',
  kind: 'compute',
  infer: ([x, y]) => {
    if (x.shape.length !== 2 || y.shape.length !== 2 || x.shape[1] !== y.shape[1])
      throw new ShapeError(`squaredDistances: [${x.shape}] and [${y.shape}], expected [N, D] and [M, D]`);
    return [{ shape: [x.shape[0], y.shape[0]], dtype: 'f32' }];
  },
  define: ([x, y]) => {
    const [[N, D], [M]] = [x.shape, y.shape];
    return [
      x
        .reshape([N, 1, D])
        .sub(y.reshape([1, M, D]))
        .square()
        .sum(2),
    ];
  },
  // d |x − y|² = 2 (x − y): with the weights g of all pairs, dx = 2 (Σ g · x − g y), dy = 2 (Σ gᵀ · y − gᵀ x)
  gradient: ([g], [x, y]) => {
    if (g === undefined) return [];
    const dx = g.sum(1, { keepDims: true }).mul(x).sub(g.matmul(y)).mul(2);
    const dy = g
      .transpose()
      .sum(1, { keepDims: true })
      .mul(y)
      .sub(g.matmul(x, { transposeA: true }))
      .mul(2);
    return [dx, dy];
  },
  lower: (context) => {
    const [[N, D], [M]] = [context.inputs[0].shape, context.inputs[1].shape];
    const bindings = { x: context.input(0), y: context.input(1), d: context.output(0) };
    context.call(kernel, { parameters: {}, bindings, uniforms: { N, M, D }, workgroups: spread(Math.ceil((N * M) / 64)) });
  },
});

/** |x − y|² of all pairs of rows: [N, D] and [M, D] to [N, M]. */
const squaredDistances = (x: Tensor, y: Tensor) => apply(squaredDistancesOp, [x, y], {});

const rows = (count: number, seed: number) =>
  tensor(
    Float32Array.from({ length: count * 3 }, (_, i) => Math.sin(i * seed)),
    [count, 3],
  );
const [x, y] = [rows(4, 1.3), rows(5, 2.7)];
const distances = squaredDistances(x, y);
const wanted = [distances, ...grad(distances.neg().exp().sum(), [x, y])];

using device = await openDevice();
const actual = await device.run(wanted);
const errors = interpret(wanted, { precision: 'f64' }).map((expected, i) =>
  Math.max(...Array.from(expected, (value, j) => Math.abs(value - actual[i][j]))),
);
console.log(`largest difference of distances, dx and dy: ${errors.map((error) => error.toExponential(1)).join(', ')}`);
if (errors.some((error) => !(error < 1e-5))) process.exitCode = 1;
