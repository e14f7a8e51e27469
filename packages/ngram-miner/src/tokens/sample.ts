/** A tokenizer trained on the first training documents, duplicates and held-out ones left out. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, sha256, withArtifactErrors } from '@sconelm/artifact';
import { trainTokenizer } from '../tokenizer/train.js';
import { digestOf } from './digest-set.js';
import { Selection } from './selection.js';
import { documentsOf, type ReadSettings, type Unit } from './units.js';

/** Text that is enough for a tokenizer, and fits in memory. */
const SAMPLE_BYTES = 100e6;

export interface SampleOptions {
  readonly units: readonly Unit[];
  readonly reading: ReadSettings;
  readonly heldoutShare: number;
  /** The tokenizer is kept here, for an attempt that goes on. */
  readonly work: string;
  readonly onNote?: (text: string) => void;
}

/** @returns tokenizer.json @throws {MinerError} as `prepareDataset` */
export async function trainOnSample(vocabSize: number, { units, reading, heldoutShare, work, onNote }: SampleOptions): Promise<string> {
  const file = path.join(work, `tokenizer-${sha256(JSON.stringify([vocabSize, units, reading, heldoutShare])).slice(0, 32)}.json`);
  if (existsSync(file)) return withArtifactErrors(file, () => readFile(file, 'utf8'));
  const { texts, bytes, isAll } = await sampleOf(units, reading, heldoutShare);
  const amount = `${(bytes / 1e6).toFixed(1)} MB of training text`;
  onNote?.(`training a tokenizer of ${vocabSize} entries on ${isAll ? `all ${amount}` : `the first ${amount}`}`);
  const json = JSON.stringify(trainTokenizer(texts, { vocabSize }));
  await publishBytes(file, json);
  return json;
}

async function sampleOf(units: readonly Unit[], reading: ReadSettings, heldoutShare: number) {
  const selection = new Selection(heldoutShare);
  const texts: string[] = [];
  let bytes = 0;
  for (const unit of units) {
    for await (const { text } of documentsOf(unit, { ...reading, onSkip: () => {} })) {
      const utf8 = Buffer.from(text);
      if (selection.place(digestOf(utf8), unit.split) !== 'train') continue;
      texts.push(text);
      bytes += utf8.length;
      if (bytes >= SAMPLE_BYTES) return { texts, bytes, isAll: false };
    }
  }
  return { texts, bytes, isAll: true };
}
