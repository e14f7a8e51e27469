/** From a corpus of tokens to the published f-gram set: at once, or in parts that machines count on their own. */
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { publishDirectory, readManifest, withArtifactErrors, writeManifest } from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import type { FgramSet } from '../fgrams/fgram-set.js';
import type { RankedFgrams } from '../fgrams/ranked.js';
import { openFgrams, publishFgrams } from '../fgrams-files.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { collectGarbage } from './collect-garbage.js';
import { extendFgrams } from './extend.js';
import { countSteps, describePlan, fingerprintOfPart, openMining, type Part, planCounting, WHOLE } from './mining.js';
import { type CheckedOptions, type CountOptions, checkOptions, type MiningPlan } from './options.js';
import { PartialWork } from './partial.js';
import { rankRecords } from './rank.js';
import { type RecordFile, recordTokenBytes } from './records.js';

export interface SetOptions {
  /** S: the most frequent ones that are kept. */
  readonly maxFgrams: number;
  /** Where fgrams.bin and fgrams.json are published. */
  readonly directory: string;
  /** The folder of an older set: its f-grams keep their ids, and those among the S of this corpus that it has not get the next ones. */
  readonly extend?: string;
}

export interface MineOptions extends CountOptions, SetOptions {}

/**
 * Mines and publishes the set; what is unfinished lies in DIRECTORY.partial, and the same call goes on from there.
 * The set's bytes are the same for any number of workers, any memory, any kernel, and any order and size of shards. (SCONE, Alg. 3)
 * @throws {MinerError} MINE_OPTION, MINE_MEMORY, MINE_PARTIAL, SHARDS_INVALID, DATASET_CORRUPT; {ArtifactError} ARTIFACT_LOCKED and errors of the disk
 */
export async function mine(corpus: TokenCorpus, options: MineOptions): Promise<FgramSet> {
  await withRanked(corpus, options, (ranked) => publishRanked(ranked, options));
  return openFgrams(options.directory);
}

/** The f-grams of `mine` in order of rank, for those who keep them in a form of their own; DIRECTORY.partial is all that is written. @throws as `mine` */
export function mineRanked(corpus: TokenCorpus, options: Omit<MineOptions, 'extend'>): Promise<RankedFgrams> {
  return withRanked(corpus, options, async (ranked) => ranked);
}

/** @param use what is done before the unfinished work is no longer needed */
async function withRanked<T>(corpus: TokenCorpus, options: MineOptions, use: (ranked: RankedFgrams) => Promise<T>): Promise<T> {
  expectSize(options.maxFgrams);
  return withArtifactErrors(options.directory, async () => {
    await using partial = await PartialWork.open(options.directory);
    const { files } = await count(corpus, checkOptions(corpus, options), WHOLE, partial);
    const result = await use(await rank(files, corpus, options));
    await partial.remove();
    return result;
  });
}

/** What `mine` will take. Reads the corpus once. */
export async function planMining(corpus: TokenCorpus, options: CountOptions, part: Part = WHOLE): Promise<MiningPlan> {
  await using mining = await openMining(corpus, checkOptions(corpus, options));
  return describePlan(mining, await planCounting(mining, part, undefined), 0);
}

const natural = z.int().nonnegative();
const partForm = {
  kind: 'scone-mine-part',
  version: 1,
  schema: z.strictObject({
    fingerprint: z.string(),
    part: z.int().positive(),
    parts: z.int().positive(),
    maxLength: z.int(),
    minCount: z.int(),
    vocabSize: z.int(),
    boundary: z.int(),
    files: z.array(z.strictObject({ name: z.string().regex(/^step-\d+\.records$/), bytes: natural, checksum: natural })),
  }),
};

/** Counts one part of the n-grams and publishes the counts in `directory`, for `mergeParts`. Every part reads the whole corpus. @throws as `mine` */
export async function minePart(corpus: TokenCorpus, options: CountOptions & Part & { readonly directory: string }): Promise<void> {
  const { part, parts, directory } = options;
  if (!Number.isInteger(parts) || !Number.isInteger(part) || part < 1 || part > parts)
    throw new MinerError('MINE_OPTION', `there is no part ${part} of ${parts}`, 'Choose a part from 1 to the number of parts.');
  const checked = checkOptions(corpus, options);
  await withArtifactErrors(directory, async () => {
    await using partial = await PartialWork.open(directory);
    const { files, fingerprint } = await count(corpus, checked, { part, parts }, partial);
    await publishDirectory(directory, async (aside) => {
      for (const { path: file } of files) await withArtifactErrors(file, () => copyFile(file, path.join(aside, path.basename(file))));
      const { kind, version } = partForm;
      const { maxLength, minCount } = checked;
      const { vocabSize, boundary } = corpus;
      const described = files.map(({ path: file, bytes, checksum }) => ({ name: path.basename(file), bytes, checksum }));
      await writeManifest(path.join(aside, 'part.json'), {
        ...{ kind, version, fingerprint, part, parts, maxLength, minCount, vocabSize, boundary },
        files: described,
      });
    });
    await partial.remove();
  });
}

/**
 * The set of all parts: bit for bit that of `mine`.
 * @param folders of the parts, in any order
 * @throws {MinerError} MINE_PARTS where one is missing, there twice, or of another corpus; {ArtifactError}
 */
export async function mergeParts(folders: readonly string[], options: SetOptions): Promise<FgramSet> {
  expectSize(options.maxFgrams);
  const parts = await Promise.all(
    folders.map(async (folder) => ({ folder, ...(await readManifest(path.join(folder, 'part.json'), partForm)) })),
  );
  parts.sort((a, b) => a.part - b.part);
  const wrong = (what: string) =>
    new MinerError('MINE_PARTS', what, 'Give the folder of every part once, all of one corpus and one minimum.');
  const [first] = parts;
  if (first === undefined) throw wrong('there are no parts');
  for (const { folder, fingerprint, parts: of } of parts)
    if (fingerprint !== first.fingerprint || of !== first.parts) throw wrong(`${folder} and ${first.folder} are parts of different work`);
  for (let part = 1; part <= Math.max(first.parts, parts.length); part++)
    if (parts[part - 1]?.part !== part) throw wrong(`part ${part} of ${first.parts} is missing, or another one is there twice`);
  const files = parts.flatMap(({ folder, files: own }) => own.map(({ name, ...rest }) => ({ path: path.join(folder, name), ...rest })));
  const whole = { ...options, maxLength: first.maxLength, minCount: first.minCount };
  await publishRanked(await rank(files, first, whole), whole);
  return openFgrams(options.directory);
}

function expectSize(maxFgrams: number): void {
  if (!Number.isInteger(maxFgrams) || maxFgrams < 1)
    throw new MinerError('MINE_OPTION', `the number of f-grams is ${maxFgrams}`, 'Choose a whole number from 1 on.');
}

/** The records of a part, in order. The threads have ended, and their memory is free. */
async function count(
  corpus: TokenCorpus,
  options: CheckedOptions,
  part: Part,
  partial: PartialWork,
): Promise<{ readonly files: RecordFile[]; readonly fingerprint: string }> {
  const counted = await countInThreads(corpus, options, part, partial);
  collectGarbage();
  return counted;
}

async function countInThreads(corpus: TokenCorpus, options: CheckedOptions, part: Part, partial: PartialWork) {
  await using mining = await openMining(corpus, options);
  const stored = await partial.plan(fingerprintOfPart(mining, part));
  const plan = await planCounting(mining, part, stored);
  if (plan !== stored) await partial.begin(plan);
  const finished = await Promise.all(plan.steps.map((_, i) => partial.finished(i, plan.fingerprint)));
  options.onPlan?.(describePlan(mining, plan, finished.filter((file) => file !== undefined).length));
  return { files: await countSteps(mining, plan, partial), fingerprint: mining.fingerprint };
}

async function rank(
  files: readonly RecordFile[],
  corpus: Pick<TokenCorpus, 'vocabSize' | 'boundary'>,
  options: Pick<SetOptions, 'maxFgrams'> & Pick<CountOptions, 'maxLength' | 'minCount' | 'onProgress'>,
): Promise<RankedFgrams> {
  const { maxLength, minCount, maxFgrams, onProgress } = options;
  const { vocabSize, boundary } = corpus;
  const form = { minCount, tokenBytes: recordTokenBytes(vocabSize) };
  onProgress?.({ stage: 'ranking', done: 0, total: 1 });
  const ranked = await rankRecords(files, form, { maxLength, vocabSize, boundary, maxFgrams });
  onProgress?.({ stage: 'ranking', done: 1, total: 1 });
  return ranked;
}

async function publishRanked(
  ranked: RankedFgrams,
  { directory, extend, minCount }: SetOptions & Pick<CountOptions, 'minCount'>,
): Promise<void> {
  const whole = extend === undefined ? ranked : extendFgrams(await openFgrams(extend), ranked);
  await publishFgrams(directory, whole, { minCount });
}
