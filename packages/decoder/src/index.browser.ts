/** All of this package that runs in browsers: what is here of files reads bytes that are at hand. */
export {
  type BatchInput,
  BatchSession,
  type BatchSessionOptions,
  blockPositions,
  contextBlocks,
  type SessionInput,
} from './batch-session.js';
export {
  type Block,
  blockShapes,
  linear,
  norm,
  normShapes,
  type ParameterShapes,
  type Parameters,
  recomputedBlock,
  transformerBlock,
} from './block.js';
export { type BlockConfig, type DecoderConfig, decoderConfigSchema, parseDecoderConfig, withContext } from './config.js';
export { type Cost, type CostOptions, cacheBytes, countParameters, formatCost, inferenceFlopsPerToken, modelCost } from './cost.js';
export { decoderHidden, decoderLogits, decoderLosses, decoderShapes, initialValues } from './decoder.js';
export { DecoderError, type DecoderErrorCode } from './errors.js';
export { largest } from './largest.js';
export { loadSafetensors } from './load-safetensors.js';
export { type PresetName, presetOf, presets } from './presets.js';
export { normal, seedFor, uniform } from './random.js';
export { encodeSafetensors, type NamedTensor, parseSafetensors, type StoredDType } from './safetensors.js';
export {
  adjustLogits,
  type Candidates,
  candidatesOf,
  expectSampling,
  logSumExp,
  pick,
  Sampler,
  type SamplingOptions,
  type TokenCounts,
} from './sampler.js';
export { DecodeSession } from './session.js';
export {
  largestBinding,
  type ParameterSink,
  type ParameterSource,
  type WeightFormat,
  Weights,
  weightBytes,
  weightFormats,
} from './weights.js';
