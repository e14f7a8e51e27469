/** What a model costs, said before anything runs: parameters, FLOPs, bytes on the accelerator and in the store. Multiply-adds count twice. */
import { blockShapes, type ParameterShapes } from './block.js';
import { completeBlock, type DecoderConfig } from './config.js';
import { decoderShapes } from './decoder.js';
import { type WeightFormat, weightBytes } from './weights.js';

export function countParameters(shapes: ParameterShapes): number {
  return Object.values(shapes).reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
}

/** Of one row through every matrix; tables of rows (`tok`, `pos`, `residual`) multiply nothing. */
function matrixFlops(shapes: ParameterShapes): number {
  return (
    2 * countParameters(Object.fromEntries(Object.entries(shapes).filter(([name, { shape }]) => shape.length === 2 && !isTable(name))))
  );
}

const isTable = (name: string) => /(^|\.)(tok|pos|residual)\.weight$/.test(name);

/** Attention is counted at half the context, the mean over a window; the head is included. */
export function inferenceFlopsPerToken(config: DecoderConfig): number {
  const { vocabSize, contextLength, layers, width, heads } = config;
  const { headDim } = completeBlock(config);
  return layers * (matrixFlops(blockShapes('h', config)) + 2 * contextLength * heads * headDim) + 2 * vocabSize * width;
}

/** Optimiser state, parameters in training, keys and values are f32. */
const FLOAT_BYTES = 4;

/** Of the keys and values of so many positions; of one sequence that fills the context where nothing is said. */
export function cacheBytes(config: DecoderConfig, positions = config.contextLength): number {
  const { keyValueHeads, headDim } = completeBlock(config);
  return config.layers * positions * 2 * keyValueHeads * headDim * FLOAT_BYTES;
}

export interface CostOptions {
  readonly decoder: DecoderConfig;
  /** The f-gram model: its parameters, and how many nodes of the forest a position costs (1.4 on English). */
  readonly fgram?: { readonly shapes: ParameterShapes; readonly nodesPerToken?: number };
  readonly rows?: { readonly count: number; readonly rowBytes: number };
  /** Of the training, in all. */
  readonly tokens?: number;
  /** How inference keeps the weights; f32 by default. */
  readonly weights?: WeightFormat;
}

export interface Cost {
  readonly parameters: number;
  /** Without token table, learned positions and head. */
  readonly nonEmbeddingParameters: number;
  readonly fgramParameters: number;
  readonly inferenceFlopsPerToken: number;
  /** A backward pass counts as two forward passes. */
  readonly trainingFlopsPerToken: number;
  /** In all. */
  readonly trainingFlops: number;
  /** Weights of the decoder, and the cache of one sequence. */
  readonly inferenceBytes: number;
  /** Weights, gradients and both moments of AdamW; activations come on top. */
  readonly trainingBytes: number;
  /** Rows off the accelerator. */
  readonly storeBytes: number;
}

export function modelCost({ decoder, fgram, rows, tokens = 0, weights = 'f32' }: CostOptions): Cost {
  const shapes = decoderShapes(decoder);
  const parameters = countParameters(shapes);
  const tables = countParameters(Object.fromEntries(Object.entries(shapes).filter(([name]) => isTable(name) || name === 'head.weight')));
  const fgramParameters = countParameters(fgram?.shapes ?? {});
  const inference = inferenceFlopsPerToken(decoder);
  const training = 3 * (inference + (fgram === undefined ? 0 : (fgram.nodesPerToken ?? 1.4) * matrixFlops(fgram.shapes)));
  return {
    parameters,
    nonEmbeddingParameters: parameters - tables,
    fgramParameters,
    inferenceFlopsPerToken: inference,
    trainingFlopsPerToken: training,
    trainingFlops: training * tokens,
    inferenceBytes: weightBytes(shapes, weights) + cacheBytes(decoder),
    trainingBytes: 4 * (parameters + fgramParameters) * FLOAT_BYTES,
    storeBytes: (rows?.count ?? 0) * (rows?.rowBytes ?? 0),
  };
}

/** A cost as lines of text; what costs nothing is left out. */
export function formatCost(cost: Cost): string {
  const lines: [string, number, string][] = [
    ['parameters', cost.parameters, ''],
    ['  without tables and head', cost.nonEmbeddingParameters, ''],
    ['  of the f-gram model', cost.fgramParameters, ''],
    ['inference, per token', cost.inferenceFlopsPerToken, 'FLOP'],
    ['training, per token', cost.trainingFlopsPerToken, 'FLOP'],
    ['training, in all', cost.trainingFlops, 'FLOP'],
    ['accelerator, inference', cost.inferenceBytes, 'B'],
    ['accelerator, training without activations', cost.trainingBytes, 'B'],
    ['store', cost.storeBytes, 'B'],
  ];
  return lines
    .filter(([, count]) => count > 0)
    .map(([what, count, unit]) => `${what.padEnd(42)}${scaled(count, unit)}\n`)
    .join('');
}

/** Three digits with a decimal prefix: 1.38 GFLOP. */
function scaled(value: number, unit: string): string {
  const power = value < 1000 ? 0 : Math.min(5, Math.floor(Math.log10(value) / 3));
  return `${power === 0 ? value : (value / 1000 ** power).toPrecision(3)} ${['', 'k', 'M', 'G', 'T', 'P'][power]}${unit}`.trimEnd();
}
