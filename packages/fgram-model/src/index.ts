export { type FgramModelConfig, fgramShapes, identityValues } from './config.js';
export { type BatchForest, batchForest, buildForest, type Forest, NODE_BUCKET, type Slices } from './forest.js';
export { type FgramMatcher, FgramSession, type RowSource, type SessionFgrams } from './inference.js';
export { batchInputs, embed, type ForestTensors, fgramRows, forestInputs } from './model.js';
export { type FgramSource, type PrecomputeOptions, precompute, type RowSink } from './precompute.js';
