export { type Command, type CommandContext, defineCommand, type Program, runMain, runProgram } from './command.js';
export { InterruptedError, UsageError } from './errors.js';
export { formatDuration, Progress, type ProgressState } from './progress.js';
export { bytesOf, sizeSchema } from './sizes.js';
export { formatTable } from './table.js';
