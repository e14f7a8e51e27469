import { inOrderOfCreation } from '../graph/gradient.js';
import type { Node, TensorType } from '../graph/op.js';
import { viewOf } from '../graph/primitives/view.js';
import { type ElementwiseProgram, elementwiseCall, type Instruction, type StridedOperand } from '../kernels/elementwise.js';
import type { Epilogue } from '../kernels/epilogue.js';
import type { Kernel, LoweringContext, ValueRef } from '../kernels/kernel.js';
import { partsOfElementwise } from '../kernels/split-elementwise.js';
import { BLOCK } from '../ops/update.js';
import { sizeOf, stridesOf } from '../shape.js';
import { Tensor } from '../tensor.js';
import { type ChainProgram, copyProgram, epilogueOperands } from './chain.js';
import { type Chain, type Fusion, fuse, throughViews, unfused } from './fuse.js';
import {
  type Binding,
  byteLength,
  type Choice,
  type Lowered,
  type LoweringOptions,
  type Step,
  type UpdateTarget,
  type Value,
} from './lowered.js';
import { mergeWrites } from './merge-writes.js';

/** A tensor's place: elements of a value through strides. */
interface Place {
  readonly value: Value;
  readonly strides: readonly number[];
  readonly offset: number;
}

class Lowering {
  readonly choices: Choice[] = [];
  readonly steps: Step[] = [];
  readonly values: Value[] = [];
  readonly #places = new Map<Node, Place[]>();
  readonly #copies = new Map<string, Value>();
  readonly #options: LoweringOptions;
  readonly #chains: ReadonlyMap<Node, Chain>;
  readonly #interior = new Set<Node>();
  /** Ops that wait for the chain which their kernels apply, by the chain's root. */
  readonly #producers: ReadonlyMap<Node, Node>;
  readonly #waiting: ReadonlySet<Node>;
  /** Norms that their consumers compute, and reshapes of them. */
  readonly #onReading: ReadonlySet<Node>;

  constructor(options: LoweringOptions, { chains, producers, onReading }: Fusion) {
    this.#options = options;
    this.#chains = chains;
    this.#producers = producers;
    this.#onReading = onReading;
    this.#waiting = new Set(producers.values());
    for (const { root, members } of chains.values()) for (const member of members) if (member !== root) this.#interior.add(member);
  }

  value(type: TensorType, label: string, leaf?: Node): Value {
    const value: Value = {
      id: this.values.length,
      elements: sizeOf(type.shape),
      dtype: type.dtype,
      label,
      ...(leaf === undefined ? {} : { leaf }),
    };
    this.values.push(value);
    return value;
  }

  /** Lowers one node, unless it is computed inside a chain. `targets`: the values an update op writes in place. */
  node(node: Node, targets?: readonly Value[]): void {
    const { op } = node;
    if (this.#interior.has(node) || this.#onReading.has(node)) return;
    if (op.kind === 'view') this.#places.set(node, [this.#view(node)]);
    else if (op.kind === 'leaf')
      this.#contiguous(node, [this.value(node.outputs[0], `${op.name} ${String(node.attributes.name ?? '')}`.trim(), node)]);
    else if (op.kind === 'elementwise') {
      // Values without operands (constants, coordinates) are computed where they are used, and stored only where they must be.
      if (node.inputs.length > 0) this.#store(this.#chains.get(node) ?? { root: node, members: new Set([node]) });
    } else {
      const outputs = targets ?? node.outputs.map((type) => this.value(type, op.name));
      this.#contiguous(node, outputs);
      if (this.#waiting.has(node)) return;
      if (op.name === 'pack') this.#pack(node, outputs[0]);
      else this.#lowerOp(node, outputs);
    }
  }

  #contiguous(node: Node, values: readonly Value[]): void {
    this.#places.set(
      node,
      values.map((value, i) => ({ value, strides: stridesOf(node.outputs[i].shape), offset: 0 })),
    );
  }

  #store(chain: Chain): void {
    const target = this.value(chain.root.outputs[0], chain.root.op.name);
    const program = this.#chain(chain);
    const producer = this.#producers.get(chain.root);
    if (producer === undefined || !this.#lowerWithEpilogue(producer, program, target))
      this.elementwise(chain.root.op.name, program, target);
    this.#contiguous(chain.root, [target]);
  }

  place(tensor: Tensor): Place {
    const { node } = tensor;
    if (node.op.kind === 'elementwise' && node.inputs.length === 0 && !this.#places.has(node))
      this.#store({ root: node, members: new Set([node]) });
    const place = this.#places.get(tensor.node)?.[tensor.index];
    if (place === undefined) throw new Error(`unreachable: ${tensor} has no place`);
    return place;
  }

  #view(node: Node): Place {
    const [input] = node.inputs;
    const { op, outputs, attributes } = node;
    if (op.name === 'reshape') return { value: this.materialize(input), strides: stridesOf(outputs[0].shape), offset: 0 };
    const place = this.place(input);
    const view = viewOf(op.name, input, outputs[0], attributes, place.strides);
    if (view === undefined) throw new Error(`unreachable: ${op.name} is no strided view`);
    return { value: place.value, strides: view.strides, offset: place.offset + view.offset };
  }

  /** The value that holds a tensor's elements contiguously from its start; a view is copied, once. */
  materialize(tensor: Tensor): Value {
    const place = this.place(tensor);
    const dense = stridesOf(tensor.shape);
    const whole =
      place.offset === 0 &&
      place.value.elements === tensor.size &&
      tensor.shape.every((extent, axis) => extent === 1 || place.strides[axis] === dense[axis]);
    if (whole) return place.value;
    const key = `${place.value.id}:${place.offset}:${place.strides.join()}:${tensor.shape.join()}`;
    const existing = this.#copies.get(key);
    if (existing !== undefined) return existing;
    const copy = this.value(tensor, 'copy');
    this.elementwise('copy', copyProgram(tensor.shape, place.value, this.#operand(place)), copy);
    this.#copies.set(key, copy);
    return copy;
  }

  /** Copies a whole value into `target`, from word `offset` on. */
  copy(label: string, value: Value, target: Value, offset = 0): void {
    const operand = { dtype: value.dtype, strides: [1], offset: 0, size: value.elements };
    this.elementwise(label, copyProgram([value.elements], value, operand), target, offset);
  }

  /** A copy of a value in memory of its own. */
  duplicate(value: Value): Value {
    const copy = this.value({ shape: [value.elements], dtype: value.dtype }, `${value.label} copy`);
    this.copy('copy', value, copy);
    return copy;
  }

  #operand({ value, strides, offset }: Place): StridedOperand {
    return { dtype: value.dtype, strides, offset, size: value.elements };
  }

  /** One generated kernel that computes `program` into `target`, from element `offset` on. */
  elementwise(label: string, { shape, loads, instructions, result }: ChainProgram, target: Value, offset = 0): void {
    if (sizeOf(shape) === 0) return;
    const values = [...new Set(loads.map(({ value }) => value))];
    const program: ElementwiseProgram = {
      shape,
      loads: loads.map(({ value, operand }) => ({ ...operand, binding: values.indexOf(value) })),
      instructions,
      stores: [{ instruction: result, target: { dtype: target.dtype, strides: stridesOf(shape), offset, size: target.elements } }],
    };
    for (const part of partsOfElementwise(program, this.#options.adapter.maxBindingBytes)) {
      const call = elementwiseCall(part.program);
      const bind = (name: string): Omit<Binding, 'name'> => {
        const [value, range, writes] =
          name === 'out0'
            ? ([target, part.output, true] as const)
            : ([values[Number(name.slice(2))], part.inputs[Number(name.slice(2))], false] as const);
        return { value, writes, ...(range === undefined ? {} : { range }) };
      };
      this.#push(label, call.kernel, {}, bind, call.uniforms, call.workgroups);
      const operations = instructions.filter(({ kind }) => kind === 'compute').length;
      const last = this.steps.length - 1;
      this.steps[last] = { ...this.steps[last], flops: operations * sizeOf(part.program.shape) };
    }
  }

  /** A chain as straight-line code: members in order of dependence, inputs as strided loads. */
  #chain({ root, members }: Chain): ChainProgram {
    const loads: { value: Value; operand: StridedOperand }[] = [];
    const instructions: Instruction[] = [];
    const numbers = new Map<string, number>();
    const add = (key: string, instruction: Instruction): number => {
      const existing = numbers.get(key);
      if (existing !== undefined) return existing;
      instructions.push(instruction);
      numbers.set(key, instructions.length - 1);
      return instructions.length - 1;
    };
    const instructionOf = (tensor: Tensor): number => {
      if (members.has(tensor.node)) return numbers.get(`node ${tensor.node.id}`) ?? emit(tensor.node);
      if (tensor.node.op.kind === 'elementwise' && tensor.node.inputs.length === 0) return emit(tensor.node);
      const place = this.place(tensor);
      const operand = this.#operand(place);
      const key = `load ${place.value.id}:${operand.offset}:${operand.strides.join()}`;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      loads.push({ value: place.value, operand });
      return add(key, { kind: 'load', index: loads.length - 1, operands: [] });
    };
    const emit = (node: Node): number => {
      const key = `node ${node.id}`;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      if (node.op.name === 'iota') return add(key, { kind: 'coordinate', index: node.attributes.axis as number, operands: [] });
      const operands = node.inputs.map(instructionOf);
      const types = { output: node.outputs[0].dtype, inputs: node.inputs.map(({ dtype }) => dtype) };
      return add(key, {
        kind: 'compute',
        index: 0,
        operands,
        ...(node.op.functions === undefined ? {} : { functions: node.op.functions }),
        expression: (names, width) => node.op.expression?.(names, node.attributes, { width, ...types }) ?? '',
      });
    };
    const result = emit(root);
    return { shape: root.outputs[0].shape, loads, instructions, result };
  }

  /** Lowers `producer` so that it stores what `program` makes of its result; where the program reads what no epilogue can, lowers it alone. */
  #lowerWithEpilogue(producer: Node, program: ChainProgram, target: Value): boolean {
    const [own, ...others] = producer.outputs.map((_, index) => this.place(new Tensor(producer, index)).value);
    const bound = this.#operandsOf(producer).map((input) => this.materialize(input));
    const isLarge = (value: Value) => byteLength(value) > this.#options.adapter.maxBindingBytes;
    const values = [...program.loads.map(({ value }) => value), ...bound, target];
    const most = producer.op.maxEpilogueOperands ?? 0;
    const operands = values.some(isLarge) ? undefined : epilogueOperands(program, own, bound, most);
    if (operands === undefined) {
      this.#lowerOp(producer, [own, ...others]);
      return false;
    }
    const numbers = new Map(operands.map(({ load }, index) => [load, index]));
    const epilogue: Epilogue = {
      operands: operands.map(({ kind }, index) => ({ kind, value: { source: 'operand', index } })),
      instructions: program.instructions.map((instruction) =>
        instruction.kind === 'load' ? { ...instruction, index: numbers.get(instruction.index) ?? -1 } : instruction,
      ),
    };
    this.#lowerOp(producer, [target, ...others], { epilogue, values: operands.map(({ load }) => program.loads[load].value) });
    return true;
  }

  /** The norm that `node` applies to its input 0 as it reads it. */
  #normOf({ inputs }: Node): Node | undefined {
    const { node } = inputs.length > 0 ? throughViews(inputs[0]) : { node: undefined };
    return node !== undefined && this.#onReading.has(node) ? node : undefined;
  }

  /** What the kernels of `node` read. */
  #operandsOf(node: Node): readonly Tensor[] {
    const norm = this.#normOf(node);
    return norm === undefined ? node.inputs : [...norm.inputs, ...node.inputs.slice(1)];
  }

  /** Each input becomes a part of the packed value where it can be produced there; else it is copied. */
  #pack(node: Node, packed: Value): void {
    const offsets = node.attributes.offsets as readonly number[];
    const values = node.inputs.map((input) => this.materialize(input));
    // What stands in two places can be computed in neither: its copy would read the memory that it writes.
    const isRepeated = (value: Value) => values.indexOf(value) !== values.lastIndexOf(value);
    values.forEach((value, i) => {
      if (value.leaf === undefined && value.parent === undefined && !isRepeated(value) && offsets[i] % BLOCK === 0)
        value.parent = { value: packed, offset: offsets[i] };
      else this.copy('pack', value, packed, offsets[i]);
    });
  }

  #lowerOp(node: Node, outputs: readonly Value[], fused?: { readonly epilogue: Epilogue; readonly values: readonly Value[] }): void {
    const { op, attributes } = node;
    if (op.lower === undefined) throw new Error(`unreachable: ${op.name} has neither kernel nor definition`);
    const norm = this.#normOf(node);
    const inputs = new Map<number, Value>();
    const scratch: Value[] = [];
    const resolve = ({ source, index }: ValueRef): Value => {
      if (source === 'output') return outputs[index];
      if (source === 'scratch') return scratch[index];
      if (source === 'operand' && fused !== undefined) return fused.values[index];
      if (source === 'normalization' && norm !== undefined) return this.materialize(norm.inputs[index]);
      const value = inputs.get(index) ?? this.materialize(index === 0 && norm !== undefined ? norm.inputs[0] : node.inputs[index]);
      inputs.set(index, value);
      return value;
    };
    const context: LoweringContext = {
      attributes,
      inputs: node.inputs,
      outputs: node.outputs,
      adapter: this.#options.adapter,
      batchInvariant: this.#options.batchInvariant,
      choose: (key, forms) => {
        const choice = { key, forms, op, inputs: node.inputs.map(({ shape, dtype }) => ({ shape, dtype })), attributes };
        if (!this.choices.some((known) => known.key === key)) this.choices.push(choice);
        const chosen = this.#options.choose(key, forms);
        return forms.find((form) => form === chosen) ?? forms[0];
      },
      ...(fused === undefined ? {} : { epilogue: fused.epilogue }),
      ...(norm?.op.rowNorm === undefined
        ? {}
        : {
            normalized: {
              norm: norm.op.rowNorm,
              eps: norm.attributes.eps as number,
              weight: { source: 'normalization', index: 1 },
              ...(norm.op.rowNorm === 'layer' && { bias: { source: 'normalization', index: 2 } as const }),
            },
          }),
      input: (index) => ({ source: 'input', index }),
      output: (index) => ({ source: 'output', index }),
      scratch: (elements) => {
        scratch.push(this.value({ shape: [elements], dtype: 'f32' }, `${op.name} scratch`));
        return { source: 'scratch', index: scratch.length - 1 };
      },
      call: (kernel, { parameters, bindings, uniforms, workgroups }) => {
        const counts: readonly [number, number, number] = typeof workgroups === 'number' ? [workgroups, 1, 1] : workgroups;
        const bind = (name: string) => {
          const { range } = bindings[name];
          return { value: resolve(bindings[name]), writes: kernel.bindings[name] !== 'read', ...(range === undefined ? {} : { range }) };
        };
        this.#push(op.name, kernel as unknown as Kernel<object>, parameters, bind, uniforms, counts);
      },
    };
    const before = this.steps.length;
    op.lower(context);
    const flops = op.flops?.(node.inputs, node.outputs, attributes) ?? 0;
    const last = this.steps.length - 1;
    if (last >= before) this.steps[last] = { ...this.steps[last], flops };
  }

  #push(
    label: string,
    kernel: Kernel<object>,
    parameters: object,
    bind: (name: string) => Omit<Binding, 'name'>,
    uniforms: Readonly<Record<string, number>>,
    workgroups: readonly [number, number, number],
  ): void {
    // A dispatch may bind a range of an arena only once, because arenas are bound writable: a second reading goes through a copy.
    const seen = new Set<Value>();
    const bindings = Object.keys(kernel.bindings).map((name) => {
      const { value, writes, range } = bind(name);
      const repeated = seen.has(value) && value.leaf === undefined;
      if (repeated && writes) throw new Error(`unreachable: ${label} writes what it binds twice`);
      seen.add(value);
      return { name, value: repeated ? this.duplicate(value) : value, writes, ...(range === undefined ? {} : { range }) };
    });
    this.steps.push({
      label,
      flops: 0,
      kernel,
      parameters,
      bindings,
      uniforms: Object.entries(kernel.uniforms).map(([name, type]) => ({ type, value: uniforms[name] })),
      workgroups,
    });
  }
}

/** Lowers `outputs`, then `updates`: these run after every reader of the variables they write. */
export function lower(outputs: readonly Tensor[], allUpdates: readonly UpdateTarget[], options: LoweringOptions): Lowered {
  const updates = options.fuse ? mergeWrites(allUpdates, options.adapter.maxStorageBuffers) : allUpdates;
  const roots = [...outputs, ...updates.map(({ value }) => value), ...updates.map(({ leaf }) => leaf)];
  const order = inOrderOfCreation(roots);
  const lowering = new Lowering(options, options.fuse ? fuse(order, roots, options.adapter) : unfused(order));
  const late: Node[] = [];
  for (const node of order) {
    if (node.op.kind === 'update') late.push(node);
    else lowering.node(node);
  }
  const updated = new Set(updates.map(({ leaf }) => leaf.node));
  // A variable's old value, asked for as a result, is kept apart from the variable that is written.
  const results = outputs.map((output) => {
    const value = lowering.materialize(output);
    return value.leaf !== undefined && updated.has(value.leaf) ? lowering.duplicate(value) : value;
  });
  // First values that are computed from old variables, then the variables: an update never overtakes a reader.
  const copies = updates
    .filter(({ value }) => value.node.op.kind !== 'update')
    .map(({ leaf, value: tensor }) => {
      const value = lowering.materialize(tensor);
      return { target: lowering.place(leaf).value, value: value.leaf === undefined ? value : lowering.duplicate(value) };
    });
  for (const node of late) {
    const targets = node.outputs.map((_, index) => {
      const update = updates.find(({ value }) => value.node === node && value.index === index);
      if (update === undefined) throw new Error(`unreachable: output ${index} of ${node.op.name} updates nothing`);
      return lowering.place(update.leaf).value;
    });
    lowering.node(node, targets);
  }
  for (const { target, value } of copies) {
    lowering.copy('assign', value, target);
  }
  return { choices: lowering.choices, steps: lowering.steps, values: lowering.values, results };
}
