/** Training a model on windows of tokens; interrupted, it goes on from its last checkpoint with the same bits. (SCONE, section 3) */
import path from 'node:path';
import { acquireLock } from '@sconelm/artifact';
import { listCheckpoints, type Model, runPaths } from '@sconelm/fgram-model';
import { type Device, LossScaler } from '@sconelm/tensor-webgpu';
import { TrainError } from './errors.js';
import { type Metrics, MetricsLog } from './run/metrics.js';
import { deviation } from './run/pretrained.js';
import { trainingFlops } from './run/summary.js';
import { EventLog } from './run/tensorboard.js';
import type { TrainingConfig } from './run/training-config.js';
import { limitsOf } from './training/limits.js';
import { settleMicroBatch } from './training/micro-batch.js';
import { Optimizers } from './training/optimizers.js';
import { goOnAs, placeOf } from './training/place.js';
import { loadState, saveState, type TrainingState } from './training/state.js';
import { type StepReport, TrainingStep } from './training/step.js';
import type { WindowBatch, Windows } from './windows.js';

export interface TrainOptions {
  readonly training: TrainingConfig;
  /** The run's folder. */
  readonly directory: string;
  readonly checkpointSeconds?: number;
  /** Goes on from a checkpoint also on another adapter, or with other kernels, with other bits than the run would have had. */
  readonly allowChange?: boolean;
  /** Told what is different. */
  readonly onChange?: (change: string) => void;
  readonly signal?: AbortSignal;
  /** The model's held-out loss; every `evaluateEvery` steps and at the end. */
  readonly evaluate?: () => Promise<number>;
  /** Shows what the model writes; every `sampleEvery` steps. */
  readonly sample?: (step: number) => Promise<void>;
  /** Called after every step; `loss` is the mean since the last line of the metrics, `share` how much of the run is done. */
  readonly onProgress?: (progress: Metrics & { readonly share: number }) => void;
}

export interface TrainResult {
  readonly metrics: readonly Metrics[];
  /** Forest nodes computed in all. */
  readonly nodes: number;
}

/** Steps between lines of the metrics. */
const REPORT = 10;
/** Lines from one reading of the token table's deviation to the next. */
const DEVIATION = 10;
/** Steps in flight: the device never waits for the host, and the host never runs far ahead. */
const IN_FLIGHT = 2;
/** The running mean of the loss forgets so much with every step; it is believed after twice as many steps as it remembers. */
const FORGETTING = 0.02;
const SETTLED = 100;
/** So many steps left out in a row are no accident. */
const MAX_SKIPPED = 20;
/** Mixed precision's scale of the loss at the start. */
const LOSS_SCALE = 2 ** 14;

/**
 * @throws {TrainError} TRAIN_LOSS_NAN, TRAIN_LOSS_SPIKE, TRAIN_OPTION; {ArtifactError}: another process trains here; the signal's reason when
 *   aborted, with a checkpoint written
 */
export async function trainModel(device: Device, model: Model, windows: Windows, options: TrainOptions): Promise<TrainResult> {
  const { training, directory, checkpointSeconds = 60, allowChange = false, signal, onProgress } = options;
  const { batch } = training;
  const T = model.config.decoder.contextLength;
  await using _lock = await acquireLock(path.join(directory, 'training.lock'));
  using optimizers = new Optimizers(device, model, training);
  const saved = { variables: model.variables, moments: optimizers.moments };
  const from = await loadState(directory, saved);
  const changes = from === undefined ? [] : goOnAs(device, from.place, { allowChange });
  for (const change of changes) options.onChange?.(change);
  // Planned with the forms that are kept; another adapter may have room for less.
  const kept = changes.length === 0 ? from?.place.microBatch : undefined;
  const microBatch = settleMicroBatch(device, model, training, optimizers, windows.batch(0, batch), { kept });
  using program = new TrainingStep(device, model, training, optimizers, { microBatch });
  const watch = new Watch(training, from);
  await using log = await MetricsLog.open(runPaths(directory).metrics, watch.step);
  await using events = await EventLog.open(runPaths(directory).events, log.entries, watch.seconds);
  const limits = limitsOf(training, T);
  const started = performance.now() - watch.seconds * 1000;
  const seconds = () => (performance.now() - started) / 1000;
  const flops = () => trainingFlops(model.config, { tokens: watch.step * batch * T, nodes: watch.nodes });
  const position = () => limits.position({ step: watch.step, flops: flops(), seconds: seconds() });
  let lastSaved = performance.now();
  const save = async () => {
    await log.sync();
    await program.flush();
    await saveState(directory, saved, { ...(await watch.state(seconds())), place: placeOf(device, microBatch) }, { last: training.keep });
    lastSaved = performance.now();
  };
  let shown: Partial<Metrics> = {};
  let at = position();
  while (at < limits.total) {
    if (signal?.aborted) {
      if (watch.step > 0) await save();
      signal.throwIfAborted();
    }
    const rate = limits.rateAt(at);
    const settings = { step: watch.step + 1, rate, lossScale: watch.lossScale, lossLimit: watch.lossLimit };
    const given = windows.batch(watch.step, batch);
    const { report, nodes } = await program.run(given, settings);
    watch.submitted(report, nodes);
    at = position();
    const isLast = at >= limits.total;
    const isEvaluated = options.evaluate !== undefined && isDue(watch.step, training.evaluateEvery, isLast);
    const isLine = isLast || isEvaluated || watch.step % REPORT === 0;
    await watch.settle(isLine ? 0 : IN_FLIGHT);
    if (watch.seen.length === 0) continue;
    const { step } = watch;
    const metrics: Metrics = {
      ...{ step, tokens: step * batch * T, loss: mean(watch.seen.map(({ loss }) => loss)), rate, nodes: watch.nodes, seconds: seconds() },
      ...{ gradientNorm: watch.seen[watch.seen.length - 1].norm, flops: flops(), skipped: watch.skipped },
      ...(model.config.fgram === undefined ? {} : { hitRate: matchedShare(given, T) }),
    };
    let isBest = false;
    if (isLine) {
      watch.startLine();
      if (isEvaluated) await program.flush();
      const heldoutLoss = isEvaluated ? await options.evaluate?.() : undefined;
      isBest = heldoutLoss !== undefined && watch.isBest(heldoutLoss);
      const line = {
        ...metrics,
        ...(await tableMetrics(model, isLast || step % (REPORT * DEVIATION) === 0)),
        ...(heldoutLoss === undefined ? {} : { heldoutLoss }),
      };
      await log.append(line);
      await events.append(line);
      shown = { ...shown, ...line };
    }
    onProgress?.({ ...shown, ...metrics, share: Math.min(1, at / limits.total) });
    if (isBest || performance.now() - lastSaved > checkpointSeconds * 1000) await save();
    if (options.sample !== undefined && isDue(step, training.sampleEvery, false)) {
      await program.flush();
      await options.sample(step);
    }
  }
  if ((await listCheckpoints(directory)).at(-1) !== watch.step) await save();
  await program.flush();
  return { metrics: log.entries, nodes: watch.nodes };
}

/** Every so many steps, and at the end where there is any. */
function isDue(step: number, every: number, isLast: boolean): boolean {
  return every > 0 && (isLast || step % every === 0);
}

/** A match is cut at its window's start, so none ends on the first token. */
function matchedShare({ lengths }: WindowBatch, T: number): number {
  return lengths.reduce((hits, length, i) => hits + (length > 1 && i % T > 0 ? 1 : 0), 0) / lengths.length;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** What the host knows of the steps: reports arrive in order, and what is decided by them depends on steps alone, never on when they arrived. */
class Watch {
  step: number;
  nodes: number;
  skipped: number;
  readonly seconds: number;
  /** Reports since the last line of the metrics. */
  readonly seen: StepReport[];
  readonly #training: TrainingConfig;
  #pending: Promise<StepReport>[];
  #smoothLoss: number | null;
  #skippedInRow: number;
  #best: TrainingState['best'];
  readonly #scaler: LossScaler;

  constructor(training: TrainingConfig, from: TrainingState | undefined) {
    const seen = from === undefined ? 0 : from.recent.length - from.unseen;
    this.#training = training;
    this.step = from?.step ?? 0;
    this.nodes = from?.nodes ?? 0;
    this.seconds = from?.seconds ?? 0;
    this.skipped = from?.skipped ?? 0;
    this.seen = from?.recent.slice(0, seen) ?? [];
    this.#pending = (from?.recent.slice(seen) ?? []).map((report) => Promise.resolve(report));
    this.#smoothLoss = from?.smoothLoss ?? null;
    this.#skippedInRow = from?.skippedInRow ?? 0;
    this.#best = from?.best ?? null;
    const initial = training.precision === 'mixed' ? LOSS_SCALE : 1;
    this.#scaler = new LossScaler({ initial, ...from?.lossScale, ...(training.precision === 'mixed' ? {} : { largest: 1 }) });
  }

  submitted(report: Promise<StepReport>, nodes: number): void {
    this.step++;
    this.nodes += nodes;
    this.#pending.push(report);
  }

  /** Waits until no more than `left` reports are outstanding. @throws {TrainError} TRAIN_LOSS_NAN, TRAIN_LOSS_SPIKE */
  async settle(left: number): Promise<void> {
    while (this.#pending.length > left) {
      const report = await this.#pending[0];
      this.#pending.shift();
      this.seen.push(report);
      this.#judge(report, this.step - this.#pending.length);
    }
  }

  #judge({ loss, norm }: StepReport, step: number): void {
    const isBeyond = loss > this.#spikeLimit(step);
    const isLeftOut = !Number.isFinite(loss) || !Number.isFinite(norm);
    // In mixed precision gradients overflow now and then: that step is left out, and the scale of the loss halves.
    const isOverflow = this.#training.precision === 'mixed' && isLeftOut && Number.isFinite(loss) && !isBeyond;
    this.#scaler.update(isOverflow ? Infinity : 1);
    const isSpike = isBeyond && (isLeftOut || this.#training.onBadStep === 'stop');
    if (!isLeftOut && !isSpike) {
      this.#smoothLoss = this.#smoothLoss === null ? loss : this.#smoothLoss + FORGETTING * (loss - this.#smoothLoss);
      this.#skippedInRow = 0;
      return;
    }
    this.skipped++;
    this.#skippedInRow++;
    if (this.#skippedInRow < MAX_SKIPPED && (isOverflow || this.#training.onBadStep === 'skip')) return;
    const what = Number.isFinite(loss)
      ? `the loss is ${loss.toFixed(3)}, its running mean ${this.#smoothLoss?.toFixed(3)}, the gradients’ norm ${norm}`
      : `the loss is ${loss}`;
    const remedy = 'Lower the learning rate, or give --on-bad-step skip; the last checkpoint is kept.';
    throw new TrainError(isSpike ? 'TRAIN_LOSS_SPIKE' : 'TRAIN_LOSS_NAN', `${what} at step ${step}`, remedy);
  }

  #spikeLimit(step: number): number {
    const { spike } = this.#training;
    return spike === undefined || this.#smoothLoss === null || step <= SETTLED ? Infinity : this.#smoothLoss + spike;
  }

  /** What the next step's loss may be without its being left out. */
  get lossLimit(): number {
    return this.#training.onBadStep === 'skip' ? this.#spikeLimit(this.step) : Infinity;
  }

  get lossScale(): number {
    return this.#scaler.scale;
  }

  startLine(): void {
    this.seen.length = 0;
  }

  isBest(loss: number): boolean {
    if (this.#best !== null && loss >= this.#best.loss) return false;
    this.#best = { step: this.step, loss };
    return true;
  }

  async state(seconds: number): Promise<Omit<TrainingState, 'place'>> {
    const unseen = await Promise.all(this.#pending);
    return {
      ...{ step: this.step, seconds, nodes: this.nodes, recent: [...this.seen, ...unseen], unseen: unseen.length },
      ...{ smoothLoss: this.#smoothLoss, skipped: this.skipped, skippedInRow: this.#skippedInRow, best: this.#best },
      lossScale: { scale: this.#scaler.scale, good: this.#scaler.good },
    };
  }
}

/** The gain, and on demand the token table's deviation, which copies the whole table from the device. */
async function tableMetrics({ dense }: Model, withDeviation: boolean): Promise<Pick<Metrics, 'gain' | 'tokenDeviation'>> {
  return {
    ...(dense.names.includes('fgram.gain') ? { gain: (await dense.get('fgram.gain').read())[0] } : {}),
    ...(withDeviation ? { tokenDeviation: deviation(await dense.get('tok.weight').read()) } : {}),
  };
}
