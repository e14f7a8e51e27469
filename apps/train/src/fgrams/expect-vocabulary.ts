/** Whether a set and a dataset can belong together. */
import type { Dataset, FgramSet } from '@sconelm/ngram-miner';
import { TrainError } from '../errors.js';

/** @param directory of the set @throws {TrainError} TRAIN_DATA if the set is of another vocabulary */
export function expectVocabulary(set: FgramSet, { tokenizer }: Dataset, directory: string): void {
  if (set.vocabSize === tokenizer.vocabSize) return;
  throw new TrainError(
    'TRAIN_DATA',
    `${directory} was mined from ${set.vocabSize} tokens, the dataset has ${tokenizer.vocabSize}`,
    'Give the dataset that the f-grams were mined from.',
  );
}
