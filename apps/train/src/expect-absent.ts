import { existsSync } from 'node:fs';
import { TrainError } from './errors.js';

/** @throws {TrainError} TRAIN_OPTION: what a command would write is there already, and may be of worth */
export function expectAbsent(directory: string): void {
  if (existsSync(directory)) throw new TrainError('TRAIN_OPTION', `${directory} is there already`, 'Give another name, or delete it.');
}
