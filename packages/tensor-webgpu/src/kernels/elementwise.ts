/**
 * Generated kernels for fused elementwise chains: one thread computes one element, or four neighbours as a vec4. Operands are read through
 * strides, so transposes, slices and broadcasts cost no copy. Sizes and strides are uniforms: a chain's pipeline serves every shape.
 */
import { COMPUTE_TYPE, type DType } from '../dtype.js';
import { type Kernel, spread } from './kernel.js';

/** An operand or the result, as a strided view over the iteration space. Strides are in elements, one per axis. */
export interface StridedOperand {
  readonly dtype: DType;
  readonly strides: readonly number[];
  readonly offset: number;
  /** Elements of the whole value that is bound. */
  readonly size: number;
}

/** Straight-line code: each instruction names an expression over earlier ones. */
export interface Instruction {
  readonly kind: 'load' | 'coordinate' | 'compute';
  /** load: the operand's number. coordinate: the axis. */
  readonly index: number;
  /** compute: the expression for the given vector width, over the names of its operands. */
  readonly expression?: (names: readonly string[], width: 1 | 4) => string;
  readonly operands: readonly number[];
  /** compute: WGSL functions that the expression calls. */
  readonly functions?: string;
  /** coordinate: what the first element's coordinate is, in a part of a larger whole. */
  readonly base?: number;
}

/** The functions that instructions call, each once. */
export function functionsOf(instructions: readonly Instruction[]): string {
  return [...new Set(instructions.flatMap(({ functions }) => functions ?? []))].join('\n');
}

/** One of a program's reads. Several may read the same value, which is bound once. */
export interface Load extends StridedOperand {
  /** The number of the value among those bound. */
  readonly binding: number;
}

export interface ElementwiseProgram {
  readonly shape: readonly number[];
  readonly loads: readonly Load[];
  readonly instructions: readonly Instruction[];
  /** The instructions whose values are stored, and where. */
  readonly stores: readonly { readonly instruction: number; readonly target: StridedOperand }[];
}

export interface ElementwiseCall {
  readonly kernel: Kernel<object>;
  readonly uniforms: Readonly<Record<string, number>>;
  readonly workgroups: readonly [number, number, number];
}

const WORKGROUP_SIZE = 64;

/** Adjacent axes that every operand walks as one are merged; axes whose coordinate is needed stay. */
function collapse(program: ElementwiseProgram): ElementwiseProgram {
  const kept = new Set(program.instructions.filter(({ kind }) => kind === 'coordinate').map(({ index }) => index));
  const all = [...program.loads, ...program.stores.map(({ target }) => target)];
  const groups: number[][] = [];
  program.shape.forEach((extent, axis) => {
    const previous = groups.at(-1)?.at(-1);
    const mergeable =
      previous !== undefined &&
      !kept.has(axis) &&
      !kept.has(previous) &&
      all.every(({ strides }) => strides[previous] === strides[axis] * extent);
    if (mergeable) groups.at(-1)?.push(axis);
    else groups.push([axis]);
  });
  const merged = groups.filter((axes) => axes.some((axis) => program.shape[axis] !== 1 || kept.has(axis)));
  const narrow = <O extends StridedOperand>(operand: O): O => ({
    ...operand,
    strides: merged.map((axes) => operand.strides[axes[axes.length - 1]]),
  });
  return {
    shape: merged.map((axes) => axes.reduce((product, axis) => product * program.shape[axis], 1)),
    loads: program.loads.map(narrow),
    instructions: program.instructions.map((instruction) =>
      instruction.kind === 'coordinate'
        ? { ...instruction, index: merged.findIndex((axes) => axes.includes(instruction.index)) }
        : instruction,
    ),
    stores: program.stores.map(({ instruction, target }) => ({ instruction, target: narrow(target) })),
  };
}

/** Whether four neighbours along the last axis are one aligned vec4 of this operand, or one repeated element. */
function isVectorizable({ strides, offset, size }: StridedOperand): boolean {
  const last = strides[strides.length - 1];
  return last === 0 || (last === 1 && offset % 4 === 0 && size % 4 === 0 && strides.slice(0, -1).every((stride) => stride % 4 === 0));
}

function isContiguous({ strides, offset }: StridedOperand, shape: readonly number[]): boolean {
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (strides[axis] !== stride) return false;
    stride *= shape[axis];
  }
  return offset === 0;
}

/** The kernel of a chain; values are bound as `in0`, `in1`, .., results as `out0`, .. */
export function elementwiseCall(source: ElementwiseProgram): ElementwiseCall {
  const program = collapse(source);
  const { shape, loads, instructions, stores } = program;
  const rank = shape.length;
  const count = shape.reduce((product, extent) => product * extent, 1);
  const targets = stores.map(({ target }) => target);
  const vector =
    rank > 0 &&
    shape[rank - 1] % 4 === 0 &&
    [...loads, ...targets].every(isVectorizable) &&
    targets.every(({ strides }) => strides[rank - 1] === 1);
  const width = vector ? 4 : 1;
  const uniforms: Record<string, number> = { count: count / width };
  const isVectorLoad = (operand: StridedOperand) => vector && operand.strides[rank - 1] === 1;

  // Offsets are computed from the coordinates of the first of the elements; an operand that is contiguous needs none.
  let needsCoordinates = instructions.some(({ kind }) => kind === 'coordinate');
  const address = (prefix: string, operand: StridedOperand): string => {
    if (isContiguous(operand, shape)) return vector ? 'i * 4u' : 'i';
    const terms: string[] = [];
    operand.strides.forEach((stride, axis) => {
      if (stride === 0) return;
      needsCoordinates = true;
      if (stride === 1) terms.push(`c${axis}`);
      else {
        uniforms[`${prefix}_s${axis}`] = stride;
        terms.push(`c${axis} * u.${prefix}_s${axis}`);
      }
    });
    if (operand.offset !== 0) {
      uniforms[`${prefix}_o`] = operand.offset;
      terms.push(`u.${prefix}_o`);
    }
    return terms.length === 0 ? '0u' : terms.join(' + ');
  };

  const bindings: Record<string, 'read' | 'write'> = {};
  const types: Record<string, string> = {};
  const elementType = (operand: StridedOperand) => COMPUTE_TYPE[operand.dtype];
  const lines: string[] = [];
  // A value is bound as vectors if any load takes vectors of it: its size is whole vectors then.
  const vectorBindings = new Set(loads.filter(isVectorLoad).map(({ binding }) => binding));
  for (const operand of loads) {
    const name = `in${operand.binding}`;
    bindings[name] = 'read';
    types[name] = vectorBindings.has(operand.binding) ? `vec4<${elementType(operand)}>` : elementType(operand);
  }
  const element = ({ binding }: Load, at: string) =>
    vectorBindings.has(binding) ? `in${binding}[(${at}) / 4u][(${at}) % 4u]` : `in${binding}[${at}]`;
  stores.forEach(({ target }, i) => {
    bindings[`out${i}`] = 'write';
    types[`out${i}`] = vector ? `vec4<${elementType(target)}>` : elementType(target);
  });

  instructions.forEach((instruction, number) => {
    const name = `v${number}`;
    if (instruction.kind === 'load') {
      const operand = loads[instruction.index];
      const at = address(`in${instruction.index}`, operand);
      if (isVectorLoad(operand)) lines.push(`let ${name} = in${operand.binding}[${at === 'i * 4u' ? 'i' : `(${at}) / 4u`}];`);
      else lines.push(`let ${name} = ${vector ? `vec4<${elementType(operand)}>(${element(operand, at)})` : element(operand, at)};`);
    } else if (instruction.kind === 'coordinate') {
      const axis = instruction.index;
      const base = instruction.base ?? 0;
      if (base > 0) uniforms[`base${number}`] = base;
      const moved = base > 0 ? ` + i32(u.base${number})` : '';
      if (axis < 0) lines.push(`let ${name} = ${vector ? `vec4i(0${moved})` : `0i${moved}`};`);
      else if (!vector) lines.push(`let ${name} = i32(c${axis})${moved};`);
      else lines.push(`let ${name} = vec4i(i32(c${axis})${moved})${axis === rank - 1 ? ' + vec4i(0, 1, 2, 3)' : ''};`);
    } else {
      const names = instruction.operands.map((operand) => `v${operand}`);
      lines.push(`let ${name} = ${instruction.expression?.(names, width) ?? names[0]};`);
    }
  });
  stores.forEach(({ instruction, target }, i) => {
    const at = address(`out${i}`, target);
    lines.push(`out${i}[${!vector ? at : at === 'i * 4u' ? 'i' : `(${at}) / 4u`}] = v${instruction};`);
  });

  const coordinates: string[] = [];
  if (needsCoordinates) {
    coordinates.push(`var rest = ${vector ? 'i * 4u' : 'i'};`);
    for (let axis = rank - 1; axis > 0; axis--) {
      uniforms[`d${axis}`] = shape[axis];
      coordinates.push(`let c${axis} = rest % u.d${axis}; rest = rest / u.d${axis};`);
    }
    if (rank > 0) coordinates.push('let c0 = rest;');
  }
  const uniformTypes = Object.fromEntries(Object.keys(uniforms).map((name) => [name, 'u32' as const]));
  const body = `${functionsOf(instructions)}
@compute @workgroup_size(${WORKGROUP_SIZE})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * 65535u + group.x) * ${WORKGROUP_SIZE}u + lane;
  if (i >= u.count) { return; }
  ${[...coordinates, ...lines].join('\n  ')}
}`;
  const kernel: Kernel<object> = { name: 'elementwise', bindings, types: () => types, uniforms: uniformTypes, wgsl: () => body };
  return { kernel, uniforms, workgroups: spread(Math.ceil(count / width / WORKGROUP_SIZE)) };
}
