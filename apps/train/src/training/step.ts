/**
 * One optimiser step as programs: loss, gradients, AdamW, and Adam on the residual rows that the batch touches. A batch may be cut into micro-batches
 * whose gradients are summed first: what exchanges gradients between devices would stand between the two programs.
 */
import { decoderLosses, recomputedBlock, transformerBlock } from '@sconelm/decoder';
import { batchForest, batchInputs, embed, type ForestTensors, fgramRows, type Model, RESIDUAL, residualOf } from '@sconelm/fgram-model';
import {
  type Device,
  GradientAccumulator,
  grad,
  type HostTensor,
  hostTensor,
  type Program,
  type ProgramReport,
  stack,
  type Tensor,
  update,
  type VariableSet,
  zeros,
} from '@sconelm/tensor-webgpu';
import { TrainError } from '../errors.js';
import type { TrainingConfig } from '../run/training-config.js';
import type { WindowBatch } from '../windows.js';
import type { Optimizers } from './optimizers.js';

/** What a step reports: its loss in nats per token, and the norm of its gradients before clipping; no finite number where it was left out. */
export interface StepReport {
  readonly loss: number;
  readonly norm: number;
}

export interface StepSettings {
  /** 1, 2, .. */
  readonly step: number;
  readonly rate: number;
  /** The loss is multiplied by it for the gradients' sake. */
  readonly lossScale: number;
  /** A step with a larger loss is left out. */
  readonly lossLimit: number;
}

type BatchTensors = ForestTensors & {
  readonly baseTokens: Tensor;
  readonly nodeOf: Tensor;
  readonly targets: Tensor;
  /** With micro-batches: the place of each node's residual row among those that the whole batch touches; −1 where it has none. */
  readonly places: Tensor;
};
/** [B·T] the residual rows that the whole batch touches, each once; −1 beyond them. */
type Touched = { readonly rowIds: Tensor };
type Settings = { readonly rates: Tensor; readonly scale: Tensor; readonly limit: Tensor };
type Report = { report: Tensor };

/** Of residual rows, by id: each one's place in `Touched`. */
type Places = ReadonlyMap<number, number>;

/** Stands for Infinity, which a shader may not see. */
const LARGEST = 3e38;

/** A batch's f-grams as `batchForest` gives them. */
export type ForestBuilder = typeof batchForest;

export interface StepOptions {
  /** Windows at a time; all of the batch by default. */
  readonly microBatch?: number | undefined;
  readonly forest?: ForestBuilder;
}

export class TrainingStep implements Disposable {
  readonly #model: Model;
  readonly #optimizers: Optimizers;
  readonly #sums: GradientAccumulator | undefined;
  readonly #microBatches: number;
  readonly #batch: number;
  readonly #forest: ForestBuilder;
  /** The whole step, or one micro-batch of it. */
  readonly #pass: Program<BatchTensors & Settings, Report>;
  /** With micro-batches: the optimiser's step. */
  readonly #apply: Program<Settings & Touched, Report> | undefined;
  /** Sums of the gradients of residual rows over micro-batches, [B·T, d]. */
  readonly #rowSums: VariableSet | undefined;

  /** @throws {TrainError} TRAIN_OPTION: micro-batches that do not divide the batch; nothing but a frozen decoder */
  constructor(
    device: Device,
    model: Model,
    training: TrainingConfig,
    optimizers: Optimizers,
    { microBatch = training.batch, forest = batchForest }: StepOptions = {},
  ) {
    const { dense } = model;
    const { batch } = training;
    if (batch % microBatch !== 0)
      throw new TrainError(
        'TRAIN_OPTION',
        `a batch of ${batch} windows is no multiple of ${microBatch}`,
        'Give a --micro-batch that divides it.',
      );
    if (training.freezeMain && model.config.fgram === undefined)
      throw new TrainError('TRAIN_OPTION', 'a frozen decoder without f-grams has nothing to train', 'Leave out --plain or --freeze-main.');
    this.#model = model;
    this.#batch = microBatch;
    this.#forest = forest;
    this.#microBatches = batch / microBatch;
    this.#optimizers = optimizers;
    const { table, rows: rowOptimizer } = optimizers;
    const trained = { ...model, parameters: (name: string) => (name === RESIDUAL && table ? table.tensor : model.parameters(name)) };
    const dtype = training.precision === 'mixed' ? device.floatType('f16') : 'f32';
    if (this.#microBatches === 1) {
      this.#pass = device.compile((x: BatchTensors & Settings) => {
        const { loss, gradients, touched } = lossAndGradients(x, trained, training, dtype);
        const { updates, norm } = optimizers.dense.step(gradients, x.rates);
        const rows = touched === undefined ? [] : (rowOptimizer?.step(touched, x.nodeIds, x.rates, norm) ?? []);
        return { outputs: { report: stack([loss, norm]) }, updates: [...updates, ...rows] };
      });
      return;
    }
    const touchedRows = batch * model.config.decoder.contextLength;
    const sums = new GradientAccumulator(device, dense);
    this.#sums = sums;
    this.#rowSums = table && device.variables({ 'row.sums': { shape: [touchedRows, table.shape[1]] } }, 'sums of row gradients');
    const rowSums = this.#rowSums?.get('row.sums');
    rowSums?.write(new Float32Array(rowSums.tensor.size));
    this.#pass = device.compile((x: BatchTensors & Settings) => {
      const { loss, gradients, touched } = lossAndGradients(x, trained, training, dtype);
      const rows = touched && rowSums && [update(rowSums, rowSums.tensor.add(touched.scatterRows(x.places, touchedRows)))];
      return { outputs: { report: stack([loss]) }, updates: [...sums.add(gradients), ...(rows ?? [])] };
    });
    this.#apply = device.compile(({ rates, rowIds }: Settings & Touched) => {
      const { updates, norm } = optimizers.dense.step(sums.mean(this.#microBatches), rates);
      const rows = rowSums && [
        ...(rowOptimizer?.step(rowSums.tensor.mul(1 / this.#microBatches), rowIds, rates, norm) ?? []),
        update(rowSums, zeros(rowSums.shape)),
      ];
      return { outputs: { report: stack([norm]) }, updates: [...updates, ...sums.clear(), ...(rows ?? [])] };
    });
  }

  /** Submits a step without waiting for it. @returns its report, and the forest nodes that were computed */
  async run(windows: WindowBatch, settings: StepSettings): Promise<{ readonly report: Promise<StepReport>; readonly nodes: number }> {
    const T = this.#model.config.decoder.contextLength;
    const input = this.#settings(settings);
    const size = this.#batch * T;
    const places = this.#placesOf(windows);
    await this.#optimizers.host?.rows.stage(places.keys());
    let nodes = 0;
    const reports: Promise<ArrayLike<number>>[] = [];
    const keep = (report: Promise<ArrayLike<number>>) => {
      report.catch(() => {}); // told by the step's report, which comes when all parts have been submitted
      reports.push(report);
    };
    for (let i = 0; i < this.#microBatches; i++) {
      const part = sliceOf(windows, i * size, (i + 1) * size);
      const { inputs, count } = this.#inputs(part, places);
      nodes += count;
      const call = { ...inputs, ...input };
      await this.#pass.prepare(call);
      keep(this.#pass.run(call).report.data());
    }
    if (this.#apply !== undefined) {
      const call = { ...input, rowIds: hostTensor(this.#rowIds(places, windows.tokens.length)) };
      await this.#apply.prepare(call);
      keep(this.#apply.run(call).report.data());
    }
    return { report: Promise.all(reports).then((found) => reportOf(found, settings.lossScale)), nodes };
  }

  /** What a pass over these windows takes, as far as the program says. */
  report(windows: WindowBatch): ProgramReport {
    return this.#pass.report(this.#call(windows));
  }

  /** Bytes that a pass over these windows takes besides parameters, moments and inputs, as planned; nothing is allocated. */
  passBytes(windows: WindowBatch): number {
    return this.#pass.arenaBytes(this.#call(windows));
  }

  #call(windows: WindowBatch) {
    const { inputs } = this.#inputs(sliceOf(windows, 0, this.#batch * this.#model.config.decoder.contextLength), this.#placesOf(windows));
    return { ...inputs, ...this.#settings({ step: 1, rate: 0, lossScale: 1, lossLimit: Infinity }) };
  }

  /** Makes tables in host memory hold what the device does. */
  async flush(): Promise<void> {
    await this.#optimizers.host?.rows.flush();
  }

  /** The residual rows that a whole batch touches, by id, where they have to be brought, or micro-batches have to add theirs up. */
  #placesOf({ lengths, ids }: WindowBatch): Places {
    const isNeeded = this.#rowSums !== undefined || this.#optimizers.host !== undefined;
    const rows = isNeeded ? (this.#model.residual?.shape[0] ?? 0) : 0;
    const places = new Map<number, number>();
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      // A position whose f-gram was left out is of length 1.
      if (lengths[i] > 1 && id >= 0 && id < rows && !places.has(id)) places.set(id, places.size);
    }
    return places;
  }

  /** `Touched` of a batch of so many positions; its rows are on the device. */
  #rowIds(places: Places, positions: number): Int32Array<ArrayBuffer> {
    const all = new Int32Array(this.#rowSums === undefined ? 1 : positions).fill(-1);
    for (const [id, place] of places) all[place] = this.#rowOf(id);
    return all;
  }

  /** Where residual row `id` is in the table that programs read. */
  #rowOf(id: number): number {
    return this.#optimizers.host === undefined ? id : this.#optimizers.host.rows.slotOf(id);
  }

  #settings({ step, rate, lossScale, lossLimit }: StepSettings) {
    return {
      rates: hostTensor(this.#optimizers.dense.rates(step, rate, lossScale)),
      scale: hostTensor(Float32Array.of(lossScale), []),
      limit: hostTensor(Float32Array.of(Math.min(lossLimit, LARGEST)), []),
    };
  }

  #inputs(
    { tokens, targets, lengths, ids }: WindowBatch,
    places: Places,
  ): { inputs: { readonly [K in keyof BatchTensors]: HostTensor }; count: number } {
    const { decoder, fgram } = this.#model.config;
    const shape = [this.#batch, decoder.contextLength] as const;
    const common = { targets: hostTensor(targets, shape) };
    const none = hostTensor(new Int32Array(1));
    if (fgram !== undefined) {
      const forest = this.#forest(tokens, lengths, shape[1], fgram.maxLength, { ids });
      const own = this.#rowSums === undefined ? none : hostTensor(forest.ids.map((id) => places.get(id) ?? -1));
      const resident = this.#optimizers.host === undefined ? {} : { nodeIds: hostTensor(forest.ids.map((id) => this.#rowOf(id))) };
      return { inputs: { ...batchInputs(forest, shape, fgram), ...resident, ...common, places: own }, count: forest.nodes };
    }
    return {
      inputs: {
        ...common,
        baseTokens: hostTensor(tokens, shape),
        ...{ nodeOf: none, nodeTokens: none, nodeIds: none, depths: none, ancestors: none, ends: none, places: none },
      },
      count: 0,
    };
  }

  [Symbol.dispose](): void {
    for (const owned of [this.#pass, this.#apply, this.#sums, this.#rowSums]) owned?.[Symbol.dispose]();
  }
}

/** Masters are f32; with `dtype` f16 the passes run on rounded copies of them. */
function lossAndGradients(
  x: BatchTensors & Settings,
  { config, dense, parameters }: Model,
  { freezeMain, recompute }: TrainingConfig,
  dtype: 'f32' | 'f16',
) {
  const { decoder, fgram } = config;
  const block = recompute ? recomputedBlock : transformerBlock;
  const p = (name: string) => (dtype === 'f32' ? parameters(name) : parameters(name).cast(dtype));
  // Gathered first: only the rows that are touched have a gradient, and are rounded.
  const touched = fgram === undefined ? undefined : residualOf(x, parameters, fgram);
  const residual = dtype === 'f32' ? touched : touched?.cast(dtype);
  const embeddings = fgram === undefined ? p('tok.weight').gatherRows(x.baseTokens) : embed(fgramRows(x, p, fgram, residual, block), x, p);
  const loss = decoderLosses(embeddings, x.targets, p, decoder, block).cast('f32').mean();
  // Beyond the limit gradients are infinite, and the optimisers leave the step out.
  const factor = loss.stopGradient().greater(x.limit).where(Infinity, x.scale);
  const trained = dense.names.filter((name) => !freezeMain || name.startsWith('fgram.'));
  const found = grad(loss.mul(factor), [...trained.map(parameters), ...(touched === undefined ? [] : [touched])]);
  const byName = new Map(trained.map((name, i) => [name, found[i]]));
  return {
    loss,
    // What is frozen takes no part in the norm either.
    gradients: dense.names.map((name) => byName.get(name) ?? zeros(parameters(name).shape)),
    touched: found[trained.length] as Tensor | undefined,
  };
}

/** Per micro-batch the loss, and last the norm, which is of the loss as it was scaled. */
function reportOf(found: readonly ArrayLike<number>[], lossScale: number): StepReport {
  const values = found.flatMap((part) => Array.from(part));
  const losses = values.slice(0, -1);
  return { loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length, norm: values[values.length - 1] / lossScale };
}

function sliceOf(windows: WindowBatch, from: number, to: number): WindowBatch {
  const { tokens, targets, lengths, ids } = windows;
  if (from === 0 && to === tokens.length) return windows;
  return { tokens: tokens.slice(from, to), targets: targets.slice(from, to), lengths: lengths.slice(from, to), ids: ids.slice(from, to) };
}
