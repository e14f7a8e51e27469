/** Elementwise primitives: one expression per element, on the host and in WGSL, with its derivative beside it. Operands have equal shapes. */
import { COMPUTE_TYPE, type DType, isFloat } from '../../dtype.js';
import { DTypeError, ShapeError } from '../../errors.js';
import { formatShape, sameShape } from '../../shape.js';
import type { Tensor } from '../../tensor.js';
import { type Attributes, defineOp, type Op, type TensorType } from '../op.js';

import { threefry, threefryWgsl } from './threefry.js';

interface ElementwiseRule {
  readonly arity: 1 | 2;
  readonly host: (a: number, b: number) => number;
  readonly wgsl: (a: string, b: string, type: 'f32' | 'vec4f') => string;
  /** d / d operand times `dy`. */
  readonly gradient?: (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => readonly (Tensor | undefined)[];
  /** f32 only where true; else any number dtype. */
  readonly float?: boolean;
  readonly output?: DType;
}

function expectOperands(name: string, inputs: readonly TensorType[], float: boolean): TensorType {
  const [first, ...rest] = inputs;
  for (const other of rest) {
    if (!sameShape(first.shape, other.shape))
      throw new ShapeError(`${name}: ${formatShape(first.shape)} and ${formatShape(other.shape)} differ`);
    if (first.dtype !== other.dtype) throw new DTypeError(`${name}: operands are ${first.dtype} and ${other.dtype}`);
  }
  if (float && !isFloat(first.dtype)) throw new DTypeError(`${name}: operand is ${first.dtype}, expected f32 or f16`);
  return first;
}

function defineElementwise(name: string, rule: ElementwiseRule): Op {
  return defineOp<Attributes>({
    name,
    kind: 'elementwise',
    infer: (inputs) => {
      const { shape, dtype } = expectOperands(name, inputs, rule.float === true);
      return [{ shape, dtype: rule.output ?? dtype }];
    },
    evaluate: ([a, b = a], [y]) => {
      for (let i = 0; i < y.length; i++) y[i] = rule.host(a[i], b[i]);
    },
    gradient: ([dy], [a, b = a], _, [y]) => {
      if (dy === undefined || rule.gradient === undefined) return [undefined, undefined];
      return rule.gradient(dy, a, b, y);
    },
    expression: ([a, b = a], _, { width }) => {
      const value = rule.wgsl(a, b, width === 4 ? 'vec4f' : 'f32');
      return rule.output === 'bool' ? (width === 4 ? `vec4u(${value})` : `u32(${value})`) : value;
    },
  });
}

export const negOp = defineElementwise('neg', { arity: 1, host: (a) => -a, wgsl: (a) => `(-${a})`, gradient: (dy) => [dy.neg()] });
export const expOp = defineElementwise('exp', {
  arity: 1,
  float: true,
  host: Math.exp,
  wgsl: (a) => `exp(${a})`,
  gradient: (dy, _a, _b, y) => [dy.mul(y)],
});
export const logOp = defineElementwise('log', {
  arity: 1,
  float: true,
  host: Math.log,
  wgsl: (a) => `log(${a})`,
  gradient: (dy, a) => [dy.div(a)],
});
export const sinOp = defineElementwise('sin', {
  arity: 1,
  float: true,
  host: Math.sin,
  wgsl: (a) => `sin(${a})`,
  gradient: (dy, a) => [dy.mul(a.cos())],
});
export const cosOp = defineElementwise('cos', {
  arity: 1,
  float: true,
  host: Math.cos,
  wgsl: (a) => `cos(${a})`,
  gradient: (dy, a) => [dy.mul(a.sin()).neg()],
});
export const sqrtOp = defineElementwise('sqrt', {
  arity: 1,
  float: true,
  host: Math.sqrt,
  wgsl: (a) => `sqrt(${a})`,
  gradient: (dy, _a, _b, y) => [dy.div(y.mul(2))],
});
export const rsqrtOp = defineElementwise('rsqrt', {
  arity: 1,
  float: true,
  host: (a) => 1 / Math.sqrt(a),
  wgsl: (a) => `inverseSqrt(${a})`,
  gradient: (dy, _a, _b, y) => [dy.mul(y.mul(y).mul(y)).mul(-0.5)],
});
// Some drivers compute tanh through exp(2x), which overflows beyond 44; tanh is 1 to the last bit from 10 on.
export const tanhOp = defineElementwise('tanh', {
  arity: 1,
  float: true,
  host: Math.tanh,
  wgsl: (a, _b, type) => `tanh(clamp(${a}, ${type}(-20), ${type}(20)))`,
  gradient: (dy, _a, _b, y) => [dy.sub(dy.mul(y).mul(y))],
});
export const absOp = defineElementwise('abs', {
  arity: 1,
  host: Math.abs,
  wgsl: (a) => `abs(${a})`,
  gradient: (dy, a) => [dy.mul(a.sign())],
});
export const signOp = defineElementwise('sign', { arity: 1, host: Math.sign, wgsl: (a) => `sign(${a})` });
export const floorOp = defineElementwise('floor', { arity: 1, float: true, host: Math.floor, wgsl: (a) => `floor(${a})` });

export const addOp = defineElementwise('add', {
  arity: 2,
  host: (a, b) => a + b,
  wgsl: (a, b) => `(${a} + ${b})`,
  gradient: (dy) => [dy, dy],
});
export const subOp = defineElementwise('sub', {
  arity: 2,
  host: (a, b) => a - b,
  wgsl: (a, b) => `(${a} - ${b})`,
  gradient: (dy) => [dy, dy.neg()],
});
export const mulOp = defineElementwise('mul', {
  arity: 2,
  host: (a, b) => a * b,
  wgsl: (a, b) => `(${a} * ${b})`,
  gradient: (dy, a, b) => [dy.mul(b), dy.mul(a)],
});
export const divOp = defineElementwise('div', {
  arity: 2,
  host: (a, b) => a / b,
  wgsl: (a, b) => `(${a} / ${b})`,
  gradient: (dy, _a, b, y) => [dy.div(b), dy.mul(y).div(b).neg()],
});
// At a tie the whole gradient goes to the first operand.
export const maximumOp = defineElementwise('maximum', {
  arity: 2,
  host: Math.max,
  wgsl: (a, b) => `max(${a}, ${b})`,
  gradient: (dy, a, b) => [a.greaterEqual(b).where(dy, 0), a.less(b).where(dy, 0)],
});
export const minimumOp = defineElementwise('minimum', {
  arity: 2,
  host: Math.min,
  wgsl: (a, b) => `min(${a}, ${b})`,
  gradient: (dy, a, b) => [a.lessEqual(b).where(dy, 0), a.greater(b).where(dy, 0)],
});

export const lessOp = defineElementwise('less', {
  arity: 2,
  output: 'bool',
  host: (a, b) => Number(a < b),
  wgsl: (a, b) => `(${a} < ${b})`,
});
export const lessEqualOp = defineElementwise('lessEqual', {
  arity: 2,
  output: 'bool',
  host: (a, b) => Number(a <= b),
  wgsl: (a, b) => `(${a} <= ${b})`,
});
export const equalOp = defineElementwise('equal', {
  arity: 2,
  output: 'bool',
  host: (a, b) => Number(a === b),
  wgsl: (a, b) => `(${a} == ${b})`,
});

export const whereOp = defineOp<Attributes>({
  name: 'where',
  kind: 'elementwise',
  infer: ([condition, a, b]) => {
    if (condition.dtype !== 'bool') throw new DTypeError(`where: condition is ${condition.dtype}, expected bool`);
    const type = expectOperands('where', [a, b], false);
    if (!sameShape(condition.shape, type.shape))
      throw new ShapeError(`where: condition is ${formatShape(condition.shape)}, expected ${formatShape(type.shape)}`);
    return [type];
  },
  evaluate: ([condition, a, b], [y]) => {
    for (let i = 0; i < y.length; i++) y[i] = condition[i] !== 0 ? a[i] : b[i];
  },
  gradient: ([dy], [condition]) => (dy === undefined ? [] : [undefined, condition.where(dy, 0), condition.where(0, dy)]),
  expression: ([condition, a, b], _, { width }) => `select(${b}, ${a}, ${condition} != ${width === 4 ? 'vec4u(0u)' : '0u'})`,
});

/** x to a constant power; a negative base takes whole exponents. */
export const powOp = defineOp<{ exponent: number }>({
  name: 'pow',
  kind: 'elementwise',
  infer: (inputs) => [expectOperands('pow', inputs, true)],
  evaluate: ([x], [y], _, { exponent }) => {
    for (let i = 0; i < y.length; i++) y[i] = x[i] ** exponent;
  },
  gradient: ([dy], [x], { exponent }) => [dy?.mul(x.pow(exponent - 1)).mul(exponent)],
  // WGSL's pow is undefined below zero.
  expression: ([x], { exponent }, { width }) => {
    const type = width === 4 ? 'vec4f' : 'f32';
    const size = `pow(abs(${x}), ${type}(${floatLiteral(exponent)}))`;
    if (!Number.isInteger(exponent)) return `pow(${x}, ${type}(${floatLiteral(exponent)}))`;
    return exponent % 2 === 0 ? size : `(sign(${x}) * ${size})`;
  },
});

/** Its operand, as a constant for gradients. */
export const stopGradientOp = defineOp<Readonly<Record<string, never>>>({
  name: 'stopGradient',
  kind: 'elementwise',
  infer: ([x]) => [x],
  evaluate: ([x], [y]) => y.set(x),
  gradient: () => [undefined],
  expression: ([x]) => x,
});

/**
 * Random bits of a counter, by Threefry-2x32 with 20 rounds; the first of its two words. [Salmon et al., 2011]
 * Operands: the counter (u32) and the two words of the key (u32).
 */
export const randomBitsOp = defineOp<Readonly<Record<string, never>>>({
  name: 'randomBits',
  kind: 'elementwise',
  infer: ([counter, k0, k1]) => {
    for (const { dtype } of [counter, k0, k1]) if (dtype !== 'u32') throw new DTypeError(`randomBits: operand is ${dtype}, expected u32`);
    return [expectOperands('randomBits', [counter, k0, k1], false)];
  },
  evaluate: ([counter, k0, k1], [y]) => {
    for (let i = 0; i < y.length; i++) y[i] = threefry(counter[i], k0[i], k1[i]);
  },
  functions: threefryWgsl(),
  expression: ([counter, k0, k1], _, { width }) => {
    if (width === 1) return `threefry(${counter}, ${k0}, ${k1})`;
    return `vec4u(${[0, 1, 2, 3].map((i) => `threefry(${counter}[${i}], ${k0}[${i}], ${k1}[${i}])`).join(', ')})`;
  },
});

/** Conversion of numbers; a bool becomes 0 or 1, and f32 to integer truncates. */
export const castOp = defineOp<{ dtype: DType }>({
  name: 'cast',
  kind: 'elementwise',
  infer: ([x], { dtype }) => [{ shape: x.shape, dtype }],
  evaluate: ([x], [y], _, { dtype }) => {
    for (let i = 0; i < y.length; i++) y[i] = dtype === 'bool' ? Number(x[i] !== 0) : x[i];
  },
  gradient: ([dy], [x]) => [dy !== undefined && isFloat(x.dtype) && isFloat(dy.dtype) ? dy.cast(x.dtype) : undefined],
  expression: ([x], { dtype }, { width, inputs }) => {
    const [from, to] = [COMPUTE_TYPE[inputs[0]], COMPUTE_TYPE[dtype]];
    if (dtype === 'bool') return inputs[0] === 'bool' ? x : width === 4 ? `vec4u(${x} != vec4<${from}>())` : `u32(${x} != ${from}())`;
    // A chain's values are f32; what passes through f16 is rounded to it, as it would be in memory.
    if (dtype === 'f16' && inputs[0] !== 'f16') return width === 4 ? `vec4f(vec4<f16>(${x}))` : `f32(f16(${x}))`;
    return from === to ? x : width === 4 ? `vec4<${to}>(${x})` : `${to}(${x})`;
  },
});

/** The same number everywhere. */
export const fillOp = defineOp<{ value: number; shape: readonly number[]; dtype: DType }>({
  name: 'fill',
  kind: 'elementwise',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  evaluate: (_, [y], __, { value }) => {
    y.fill(value);
  },
  expression: (_, { value, dtype }, { width }) => {
    const text = isFloat(dtype) ? floatLiteral(value) : dtype === 'i32' ? `i32(${Math.trunc(value)})` : `${Math.trunc(value)}u`;
    return width === 4 ? `vec4(${text})` : text;
  },
});

/** WGSL has no literal for infinities, and refuses constant expressions that overflow; the largest finite number stands for them. */
function floatLiteral(value: number): string {
  const finite = Math.fround(Math.max(-3.4028234663852886e38, Math.min(3.4028234663852886e38, value)));
  if (Number.isNaN(finite)) throw new DTypeError('fill: NaN is no constant');
  return `f32(${finite})`;
}

/** The coordinate along `axis`, as i32. */
export const iotaOp = defineOp<{ shape: readonly number[]; axis: number }>({
  name: 'iota',
  kind: 'elementwise',
  infer: (_, { shape }) => [{ shape, dtype: 'i32' }],
  evaluate: (_, [y], __, { shape, axis }) => {
    let stride = 1;
    for (const extent of shape.slice(axis + 1)) stride *= extent;
    for (let i = 0; i < y.length; i++) y[i] = Math.floor(i / stride) % shape[axis];
  },
  // The code generator passes the coordinate as the only operand.
  expression: ([coordinate]) => coordinate,
});
