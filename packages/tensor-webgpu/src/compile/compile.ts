/** `compile`: traces a function once per signature of input shapes and keeps the executable. */
import type { Device } from '../device/device.js';
import type { Variable } from '../device/variables.js';
import { dtypeOf, type TypedArray } from '../dtype.js';
import { DTypeError, GraphError, ShapeError } from '../errors.js';
import type { Profile } from '../profile/profile.js';
import { formatShape, sameShape } from '../shape.js';
import { placeholder, type Tensor } from '../tensor.js';
import { planMemory } from './plan.js';
import {
  type CompileOptions,
  Executable,
  type HostTensor,
  lowerGraph,
  type ProgramGraph,
  type ProgramReport,
  pipelineRequest,
  type Result,
} from './program.js';
import { tune } from './tune.js';

/** A variable and the value it takes when the program has run. */
export interface Update {
  readonly variable: Variable;
  readonly value: Tensor;
}

/** @throws {ShapeError | DTypeError} if the value does not fit the variable */
export function update(variable: Variable, value: Tensor): Update {
  if (!sameShape(variable.shape, value.shape))
    throw new ShapeError(`update: '${variable.name}' is ${formatShape(variable.shape)}, its new value ${formatShape(value.shape)}`);
  if (variable.dtype !== value.dtype) throw new DTypeError(`update: '${variable.name}' is ${variable.dtype}, its new value ${value.dtype}`);
  return { variable, value };
}

export interface Traced<O extends Readonly<Record<string, Tensor>>> {
  readonly outputs: O;
  readonly updates?: readonly Update[];
}

/** What {@link Program.prepare} is doing: measuring forms of kernels, or compiling. */
export interface PrepareProgress {
  readonly stage: 'tune' | 'compile';
  readonly done: number;
  readonly total: number;
}

/** Shapes and dtypes of a call's inputs; the data does not matter before it runs. */
type HostInputs<I> = { readonly [K in keyof I]: HostTensor };

export class Program<I extends Readonly<Record<string, Tensor>>, O extends Readonly<Record<string, Tensor>>> implements Disposable {
  readonly #device: Device;
  readonly #trace: (inputs: I) => Traced<O>;
  readonly #options: CompileOptions;
  readonly #executables = new Map<string, Executable>();

  constructor(device: Device, trace: (inputs: I) => Traced<O>, options: CompileOptions = {}) {
    this.#device = device;
    this.#trace = trace;
    this.#options = options;
  }

  #graph(inputs: HostInputs<I>): ProgramGraph {
    const placeholders = Object.fromEntries(
      Object.entries<HostTensor>(inputs).map(([name, { data, shape }]) => [name, placeholder(name, shape, dtypeOf(data))]),
    );
    const { outputs, updates = [] } = this.#trace(placeholders as I);
    const written = new Set<Variable>();
    for (const { variable } of updates) {
      if (written.has(variable)) throw new GraphError(`variable '${variable.name}' is updated twice`, 'Give each variable one new value.');
      written.add(variable);
    }
    return { inputs: placeholders, outputs, updates: updates.map(({ variable, value }) => ({ leaf: variable.tensor, value })) };
  }

  #executable(inputs: HostInputs<I>): Executable {
    const signature = signatureOf(inputs);
    const existing = this.#executables.get(signature);
    if (existing !== undefined) return existing;
    const graph = this.#graph(inputs);
    const executable = new Executable(this.#device, graph, lowerGraph(this.#device, graph, this.#options), this.#options);
    this.#executables.set(signature, executable);
    return executable;
  }

  /**
   * Makes ready for calls with inputs of these shapes, without running: measures forms of kernels that this adapter has no measurements of
   * (`SCONE_TUNE`), compiles pipelines in parallel. A call that was not prepared for compiles them one after the other.
   */
  async prepare(inputs: HostInputs<I>, onProgress: (progress: PrepareProgress) => void = () => {}): Promise<void> {
    const signature = signatureOf(inputs);
    if (this.#executables.has(signature)) return;
    const graph = this.#graph(inputs);
    await this.#device.tuning.load();
    let lowered = lowerGraph(this.#device, graph, this.#options);
    const measured = await tune(this.#device, lowered.choices, (done, total) => onProgress({ stage: 'tune', done, total }));
    if (measured) lowered = lowerGraph(this.#device, graph, this.#options);
    await this.#device.compilePipelines(lowered.steps.map(pipelineRequest), (done, total) => onProgress({ stage: 'compile', done, total }));
    if (!this.#executables.has(signature)) this.#executables.set(signature, new Executable(this.#device, graph, lowered, this.#options));
  }

  /**
   * Runs the program: writes the inputs and submits, without waiting. Inputs of a new signature of shapes are traced and compiled first.
   * @returns the outputs, readable until the next call with the same shapes
   */
  run(inputs: HostInputs<I>): { readonly [K in keyof O]: Result } {
    const results = this.#executable(inputs).run(inputs);
    return Object.fromEntries(results) as { readonly [K in keyof O]: Result };
  }

  /** Bytes of the arena that calls with inputs of these shapes would have, as planned; nothing is compiled or allocated. */
  arenaBytes(inputs: HostInputs<I>): number {
    const { steps, results } = lowerGraph(this.#device, this.#graph(inputs), this.#options);
    return planMemory(steps, results).arenaBytes;
  }

  /** A call with the time of every kernel; updates take place, results are dropped. @throws {DeviceError} DEVICE_FEATURE: no timestamps here */
  profile(inputs: HostInputs<I>): Promise<Profile> {
    return this.#executable(inputs).profile(inputs);
  }

  /** What a call with these inputs takes, without running it. */
  report(inputs: HostInputs<I>): ProgramReport {
    return this.#executable(inputs).report;
  }

  [Symbol.dispose](): void {
    for (const executable of this.#executables.values()) executable[Symbol.dispose]();
    this.#executables.clear();
  }
}

function signatureOf(inputs: Readonly<Record<string, HostTensor>>): string {
  return Object.entries(inputs)
    .map(([name, { data, shape }]) => `${name}:${dtypeOf(data)}[${shape.join()}]`)
    .join(';');
}

/** Compiles `trace` for `device`; see {@link Program.run}. */
export function compile<I extends Readonly<Record<string, Tensor>>, O extends Readonly<Record<string, Tensor>>>(
  device: Device,
  trace: (inputs: I) => Traced<O>,
  options?: CompileOptions,
): Program<I, O> {
  return new Program(device, trace, options);
}

/** Computes tensors that depend on no input: variables and constants only. A program is compiled for it and thrown away. */
export async function evaluate(device: Device, tensors: readonly Tensor[]): Promise<TypedArray[]> {
  using program = compile(device, () => ({ outputs: Object.fromEntries(tensors.map((tensor, i) => [`result${i}`, tensor])) }));
  const results = program.run({});
  return Promise.all(tensors.map((_, i) => results[`result${i}`].data()));
}
