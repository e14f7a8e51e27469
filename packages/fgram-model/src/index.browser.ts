/** All of this package that runs in browsers: everything but the folder of a run. */
export { type FgramModelConfig, fgramModelConfigSchema, fgramShapes, identityValues, RESIDUAL, residualShapes } from './config.js';
export {
  type EvaluateOptions,
  type Evaluation,
  type EvaluationWindow,
  evaluate,
  type PositionLoss,
  stridedWindows,
  wholeWindows,
} from './evaluate.js';
export { type BatchForest, batchForest, buildForest, type Forest, NODE_BUCKET, type Slices } from './forest.js';
export { type GeneratedToken, type GenerateOptions, generateTokens } from './generate.js';
export { HostTable } from './host-table.js';
export { type FgramMatcher, FgramSession, type SessionFgrams } from './inference.js';
export { type LookedUp, lookUp, packedDtypeOf, type RowSource, rowElements } from './look-up.js';
export { batchInputs, embed, type ForestTensors, fgramRows, forestInputs, residualOf } from './model.js';
export { type FgramSource, type PrecomputeOptions, precompute, RowComputer, type RowSink } from './precompute.js';
export { ResidentRows, type ResidentTable } from './resident-rows.js';
export { RowAdam, type RowAdamOptions } from './row-adam.js';
export {
  allocateModel,
  createModel,
  type InferenceModel,
  type Model,
  type ModelConfig,
  modelConfigSchema,
  modelShapes,
} from './scone-model.js';
