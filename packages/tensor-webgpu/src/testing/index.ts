export { OpRun, type RunOpOptions, runOp } from './run-op.js';
