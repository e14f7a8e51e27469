/** From tokens to the published f-gram set, and back. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, publishDirectory, readManifest, sha256, withArtifactErrors, writeManifest } from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import { encodeFgrams, FgramSet } from '../fgrams/fgram-set.js';
import { compareFgrams, countFgrams } from './count.js';

export interface MineOptions {
  /** Longest f-gram, K: 2..8. */
  readonly maxLength: number;
  readonly minCount: number;
  /** S: the most frequent ones that are kept. */
  readonly maxFgrams: number;
  readonly vocabSize: number;
  /** The token that opens a document. */
  readonly boundary: number;
  /** Where fgrams.bin and fgrams.json are published. */
  readonly directory: string;
  readonly onProgress?: (length: number) => void;
}

const form = {
  kind: 'scone-fgrams',
  version: 1,
  schema: z.strictObject({
    size: z.int().nonnegative(),
    maxLength: z.int().min(2),
    vocabSize: z.int().positive(),
    minCount: z.int().positive(),
    hash: z.string(),
    byLength: z.record(z.string(), z.int()),
  }),
};

/** Mines and publishes the set. @throws {MinerError | ArtifactError} */
export async function mine(tokens: ArrayLike<number>, options: MineOptions): Promise<FgramSet> {
  const { maxLength, minCount, maxFgrams, vocabSize, directory } = options;
  if (maxLength < 2 || maxLength > 8)
    throw new MinerError(
      'MINE_OPTION',
      `f-grams of up to ${maxLength} tokens are not supported`,
      'Choose a longest f-gram of 2 to 8 tokens.',
    );
  const fgrams = countFgrams(tokens, options).sort(compareFgrams).slice(0, maxFgrams);
  const bytes = encodeFgrams(fgrams);
  const byLength: Record<string, number> = {};
  for (const fgram of fgrams) byLength[fgram.tokens.length] = (byLength[fgram.tokens.length] ?? 0) + 1;
  const manifest = { size: fgrams.length, maxLength, vocabSize, minCount, hash: sha256(bytes), byLength };
  await publishDirectory(directory, async (aside) => {
    await publishBytes(path.join(aside, 'fgrams.bin'), bytes);
    await writeManifest(path.join(aside, 'fgrams.json'), { kind: form.kind, version: form.version, ...manifest });
  });
  return FgramSet.parse(bytes, manifest);
}

/** @throws {MinerError | ArtifactError} missing, of another version, or corrupt */
export async function openFgrams(directory: string): Promise<FgramSet> {
  const manifest = await readManifest(path.join(directory, 'fgrams.json'), form);
  const file = path.join(directory, 'fgrams.bin');
  const bytes = await withArtifactErrors(file, () => readFile(file));
  if (sha256(bytes) !== manifest.hash)
    throw new MinerError('FGRAMS_CORRUPT', `${file}: its sha256 is not the manifest's`, 'Mine the f-grams again.');
  return FgramSet.parse(bytes, manifest);
}
