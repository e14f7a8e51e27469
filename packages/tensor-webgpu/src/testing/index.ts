export { type Conformance, checkConformance } from './conformance.js';
export { OpRun, type RunOpOptions, runOp } from './run-op.js';
