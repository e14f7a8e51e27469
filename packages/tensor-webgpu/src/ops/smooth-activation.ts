/**
 * Activations with their derivatives as one expression each: composed of simpler ops, the values between would be stored for the backward pass.
 */
import { isFloat } from '../dtype.js';
import { DTypeError, ShapeError } from '../errors.js';
import { pullback } from '../graph/gradient.js';
import { defineOp, type Op } from '../graph/op.js';
import { formatShape, sameShape } from '../shape.js';
import { apply, type Tensor } from '../tensor.js';

type None = Readonly<Record<string, never>>;

interface ActivationRule {
  readonly value: (x: number) => number;
  readonly slope: (x: number) => number;
  /** WGSL of value and slope over `x`, `T` standing for the type. */
  readonly wgsl: { readonly value: string; readonly slope: string };
  /** The slope in terms of simpler ops, for derivatives of higher order. */
  readonly slopeOf: (x: Tensor) => Tensor;
}

function defineActivation(name: string, { value, slope, wgsl, slopeOf }: ActivationRule): Op<None> {
  const functions = (suffix: string, body: string) =>
    [1, 4].map((width) => `fn ${name}${suffix}${width}(x: T) -> T { ${body} }`.replace(/\bT\b/g, width === 4 ? 'vec4f' : 'f32')).join('\n');
  const slopeOp: Op<None> = defineOp<None>({
    name: `${name}Gradient`,
    kind: 'elementwise',
    infer: ([dy, x]) => {
      if (!sameShape(dy.shape, x.shape)) throw new ShapeError(`${name}: ${formatShape(dy.shape)} and ${formatShape(x.shape)} differ`);
      return [x];
    },
    evaluate: ([dy, x], [y]) => {
      for (let i = 0; i < y.length; i++) y[i] = dy[i] * slope(x[i]);
    },
    gradient: ([up], [dy, x]) => {
      if (up === undefined) return [];
      // By the rules of the simpler ops: d (dy · slope(x)) / dx.
      const slopes = slopeOf(x);
      return [up.mul(slopes), pullback([slopes], [up.mul(dy)], [x])[0]];
    },
    functions: functions('_slope', wgsl.slope),
    expression: ([dy, x], _, { width }) => `(${dy} * ${name}_slope${width}(${x}))`,
  });
  return defineOp<None>({
    name,
    kind: 'elementwise',
    infer: ([x]) => {
      if (!isFloat(x.dtype)) throw new DTypeError(`${name}: operand is ${x.dtype}, expected f32 or f16`);
      return [x];
    },
    evaluate: ([x], [y]) => {
      for (let i = 0; i < y.length; i++) y[i] = value(x[i]);
    },
    gradient: ([dy], [x]) => [dy === undefined ? undefined : apply(slopeOp, [dy, x], {})],
    functions: functions('_value', wgsl.value),
    expression: ([x], _, { width }) => `${name}_value${width}(${x})`,
  });
}

const C = Math.sqrt(2 / Math.PI);
// Some drivers compute tanh through exp(2x), which overflows beyond 44.
const INNER = `tanh(clamp(${C} * (x + 0.044715 * x * x * x), T(-20.0), T(20.0)))`;

export const geluOp = defineActivation('gelu', {
  value: (x) => 0.5 * x * (1 + Math.tanh(C * (x + 0.044715 * x ** 3))),
  slope: (x) => {
    const t = Math.tanh(C * (x + 0.044715 * x ** 3));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * C * (1 + 3 * 0.044715 * x * x);
  },
  wgsl: {
    value: `return 0.5 * x * (1.0 + ${INNER});`,
    slope: `let t = ${INNER}; return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * ${C} * (1.0 + ${3 * 0.044715} * x * x);`,
  },
  slopeOf: (x) => {
    const t = x.add(x.pow(3).mul(0.044715)).mul(C).tanh();
    return t
      .add(1)
      .mul(0.5)
      .add(
        x
          .mul(t.square().neg().add(1))
          .mul(
            x
              .square()
              .mul(3 * 0.044715)
              .add(1),
          )
          .mul(0.5 * C),
      );
  },
});

const SIGMOID = '(0.5 * (1.0 + tanh(clamp(0.5 * x, T(-20.0), T(20.0)))))';

export const siluOp = defineActivation('silu', {
  value: (x) => x / (1 + Math.exp(-x)),
  slope: (x) => {
    const s = 1 / (1 + Math.exp(-x));
    return s * (1 + x * (1 - s));
  },
  wgsl: { value: `return x * ${SIGMOID};`, slope: `let s = ${SIGMOID}; return s * (1.0 + x * (1.0 - s));` },
  slopeOf: (x) => {
    const s = x.mul(0.5).tanh().add(1).mul(0.5);
    return s.mul(x.mul(s.neg().add(1)).add(1));
  },
});
