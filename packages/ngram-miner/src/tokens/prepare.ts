/**
 * Text to a dataset. Threads encode units of the input to parts, in any order; the parts are put together in the order of the input, where it is
 * decided which documents are duplicates and which are held out. So the bytes do not depend on the number of threads, and after an interruption
 * only units without a part are encoded.
 */
import { rm, rmdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { acquireLock, promoteDirectory, sha256, withArtifactErrors } from '@sconelm/artifact';
import { listInputs } from '../documents/input-file.js';
import { readSource } from '../documents/read-documents.js';
import { MinerError } from '../errors.js';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import type { TokenizerJson } from '../tokenizer/tokenizer-json.js';
import { assemble } from './assemble.js';
import type { DatasetManifest } from './dataset.js';
import { encodeUnits } from './encode-units.js';
import { type EncodeSettings, partExists, partPath } from './part.js';
import { trainOnSample } from './sample.js';
import { type ReadSettings, type Unit, unitsOf } from './units.js';

export interface PrepareProgress {
  /** Bytes of input files, parts of an earlier attempt included. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Encoded in this attempt. */
  readonly tokens: number;
}

export interface PrepareOptions {
  /** Where the dataset is published. */
  readonly directory: string;
  /** Files and folders, as `readDocuments` takes them. */
  readonly train: readonly string[];
  readonly heldout?: readonly string[];
  /** Share of the training documents that is held out where `heldout` names nothing: one in 1/share, from the second on. Default: 0.05. */
  readonly heldoutShare?: number;
  /** A tokenizer.json, or the size of one to train on the first 100 MB of training text. */
  readonly tokenizer: TokenizerJson | { readonly vocabSize: number };
  readonly textField?: string;
  /** Text that cannot be read stops the work, or is left out, counted and named. Default: `'stop'`. */
  readonly onBadInput?: 'stop' | 'skip';
  /** Threads. Default: all cores. */
  readonly workers?: number;
  /** Text, about, that a thread encodes at a time, and that an interruption costs. Default: 32 MiB. */
  readonly unitBytes?: number;
  /** A shard with so many tokens gets no further document. Default: 2^26. */
  readonly shardTokens?: number;
  /** What a tokenizer without a fast path may take for a document, and again for each 600 kB of it. Default: 60,000. */
  readonly tokenizerTimeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onNote?: (text: string) => void;
  readonly onProgress?: (progress: PrepareProgress) => void;
}

/**
 * Reads, encodes and publishes. Killed at any moment, the same call goes on from the parts that are done, which it keeps in a hidden folder beside
 * `directory` until the dataset is published; until then an older dataset stays as it was.
 * @throws {MinerError} TEXT_*: naming file and place; PREPARE_OPTION; TOKENIZER_TIMEOUT: a tokenizer's regular expression does not end; {ArtifactError} a full disk; ARTIFACT_LOCKED: another process prepares it
 */
export async function prepareDataset(options: PrepareOptions): Promise<DatasetManifest> {
  const { directory, train, heldout = [], textField = 'text', onBadInput = 'stop', unitBytes = 2 ** 25 } = options;
  const heldoutShare = heldout.length > 0 ? 0 : (options.heldoutShare ?? 0.05);
  if (!(heldoutShare >= 0 && heldoutShare <= 0.5)) {
    throw new MinerError('PREPARE_OPTION', `a held-out share of ${heldoutShare} is not possible`, 'Choose a share from 0 to 0.5.');
  }
  const reading: ReadSettings = { textField, onBadInput };
  const training = unitsOf(await listInputs(train), 'train', unitBytes);
  const isOne = heldoutShare > 0 && (await isOneDocument(training, reading));
  // What is held out comes first: a document in both is not trained on.
  const units = [
    ...unitsOf(await listInputs(heldout), 'heldout', unitBytes),
    ...training.map((unit) => (isOne ? { ...unit, cutAt: 1 - heldoutShare } : unit)),
  ];
  const target = path.resolve(directory);
  const work = path.join(path.dirname(target), `.${path.basename(target)}.preparing`);
  await using _lock = await acquireLock(`${work}.lock`);
  try {
    const plan = { units, reading, heldoutShare, work };
    const manifest = await encode(options, plan, path.join(work, 'dataset'));
    await promoteDirectory(path.join(work, 'dataset'), target);
    await withArtifactErrors(work, () => rm(work, { recursive: true }));
    return manifest;
  } finally {
    await rmdir(work).catch(() => {}); // which fails if there is something to go on with
  }
}

interface Plan {
  readonly units: readonly Unit[];
  readonly reading: ReadSettings;
  readonly heldoutShare: number;
  /** The hidden folder. */
  readonly work: string;
}

/** Writes the dataset into the folder `into`. */
async function encode(options: PrepareOptions, { units, reading, heldoutShare, work }: Plan, into: string): Promise<DatasetManifest> {
  const { tokenizer: wanted, workers = availableParallelism(), shardTokens = 2 ** 26, signal, onNote, onProgress } = options;
  signal?.throwIfAborted();
  const json =
    'model' in wanted
      ? JSON.stringify(wanted)
      : await trainOnSample(wanted.vocabSize, { units, reading, heldoutShare, work, ...(onNote === undefined ? {} : { onNote }) });
  const { vocabSize, endOfText: boundary } = Tokenizer.parse(json);
  const dtype = vocabSize <= 65_536 ? 'u16' : 'u32';
  const settings: EncodeSettings = { directory: work, tokenizerHash: sha256(json), dtype, ...reading };
  const parts = units.map((unit) => partPath(unit, settings));
  const missing = units.filter((_, i) => !partExists(parts[i]));
  if (missing.length < units.length)
    onNote?.(`going on: ${units.length - missing.length} of ${units.length} pieces of the input are encoded`);
  const totalBytes = bytesOf(units);
  let done = { bytes: totalBytes - bytesOf(missing), tokens: 0 };
  onProgress?.({ ...done, totalBytes });
  await using encoding = encodeUnits({
    units: missing,
    workers,
    tokenizerTimeoutMs: options.tokenizerTimeoutMs ?? 60_000,
    tokenizer: json,
    settings,
    onProgress: ({ bytes, tokens }) => {
      done = { bytes: Math.min(totalBytes, done.bytes + bytes), tokens: done.tokens + tokens };
      onProgress?.({ ...done, totalBytes });
    },
  });
  signal?.addEventListener('abort', () => encoding.fail(signal.reason), { once: true });
  const ready = new Map(missing.map((unit, i) => [unit, encoding.units[i]]));
  const readyParts = units.map((unit, i) => ({ part: parts[i], split: unit.split, ready: ready.get(unit) }));
  return await assemble(readyParts, {
    into,
    json,
    vocabSize,
    boundary,
    dtype,
    heldoutShare,
    shardTokens,
    ...(signal === undefined ? {} : { signal }),
  });
}

const bytesOf = (units: readonly Unit[]): number =>
  units.reduce((sum, { sources }) => sum + sources.reduce((own, { from, to }) => own + to - from, 0), 0);

/** Reads no further than to a second one. */
async function isOneDocument(units: readonly Unit[], { textField, onBadInput }: ReadSettings): Promise<boolean> {
  let count = 0;
  const onFault = onBadInput === 'stop' ? {} : { onFault: () => {} };
  for (const { sources } of units) {
    for (const source of sources) {
      for await (const _ of readSource(source, { textField, ...onFault })) if (++count > 1) return false;
    }
  }
  return count === 1;
}
