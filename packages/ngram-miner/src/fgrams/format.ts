/**
 * The file of an f-gram set, fgrams.bin: the counts of its runs (f64), their first ids (u32), the slots of its table; little-endian.
 * fgrams.json says how long each is, and has a checksum of every MiB. All is used where it lies: nothing is parsed. (docs/architecture.md)
 */
import { crc32 } from '@sconelm/artifact/portable';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import { type CountRuns, encodeRuns } from './count-runs.js';
import type { RankedFgrams } from './ranked.js';
import { buildTable, tableBytes } from './slot-table.js';

/** Bytes that one checksum covers. */
const BLOCK = 2 ** 20;

/** What fgrams.json is, for readManifest and writeManifest. */
export const fgramsForm = {
  kind: 'scone-fgrams',
  version: 3,
  schema: z.strictObject({
    /** S. */
    size: z.int().nonnegative(),
    /** K. */
    maxLength: z.int().min(2).max(8),
    vocabSize: z
      .int()
      .positive()
      .max(2 ** 24),
    /** The token that opens a document. */
    boundary: z.int().nonnegative(),
    minCount: z.int().positive(),
    /** sha256 of fgrams.bin. */
    hash: z.string(),
    /** F-grams by their number of tokens. */
    byLength: z.record(z.string(), z.int()),
    /** Runs of equal counts. */
    runs: z.int().nonnegative(),
    table: z.strictObject({
      homes: z
        .int()
        .positive()
        .max(2 ** 29),
      seed: z.int().nonnegative(),
    }),
    /** CRC-32 of each MiB of fgrams.bin. */
    blocks: z.array(z.int()),
  }),
};
export type FgramManifest = z.infer<typeof fgramsForm.schema>;

/** Where the slots begin: behind a count and a first id per run, at a multiple of eight, so that no slot of eight bytes lies on two cache lines. */
const slotsAt = (runs: number): number => Math.ceil((runs * 12) / 8) * 8;

/** Bytes of fgrams.bin. */
export function fileBytes(manifest: FgramManifest): number {
  return slotsAt(manifest.runs) + tableBytes(manifest, manifest.table);
}

/**
 * A set's file. Equal sets have equal bytes.
 * @returns the bytes of fgrams.bin, and what fgrams.json says of them, its hash apart
 * @throws {MinerError} FGRAMS_LIMIT; FGRAMS_CORRUPT: columns that are no set
 */
export function encodeFgramSet(
  ranked: RankedFgrams,
  { minCount }: { readonly minCount: number },
): { readonly bytes: Uint8Array<ArrayBuffer>; readonly manifest: Omit<FgramManifest, 'hash'> } {
  const { size, maxLength, vocabSize, boundary } = ranked;
  const byLength = lengthsOf(ranked);
  const { counts, firsts } = encodeRuns(ranked.counts.subarray(0, size));
  const runs = firsts.length;
  const { shape, bytes } = buildTable(ranked, slotsAt(runs));
  new Float64Array(bytes.buffer, 0, runs).set(counts);
  new Uint32Array(bytes.buffer, runs * 8, runs).set(firsts);
  const blocks = blockSums(bytes);
  return { bytes, manifest: { size, maxLength, vocabSize, boundary, minCount, byLength, runs, table: shape, blocks } };
}

/** F-grams by length. @throws {MinerError} FGRAMS_CORRUPT */
function lengthsOf({ size, maxLength, vocabSize, parents, tokens }: RankedFgrams): Record<string, number> {
  const lengths = new Uint8Array(size);
  const byLength = new Array<number>(maxLength + 1).fill(0);
  for (let id = 0; id < size; id++) {
    const parent = parents[id];
    const length = parent < vocabSize ? 2 : parent < vocabSize + id ? lengths[parent - vocabSize] + 1 : maxLength + 1;
    if (length > maxLength || tokens[id] >= vocabSize) {
      throw new MinerError(
        'FGRAMS_CORRUPT',
        `f-gram ${id} is node ${parent} and token ${tokens[id]}: expected a token below ${vocabSize}, and a node of an earlier f-gram of fewer than ${maxLength} tokens`,
        'Mine the f-grams again.',
      );
    }
    lengths[id] = length;
    byLength[length]++;
  }
  return Object.fromEntries(byLength.map((count, length) => [String(length), count]).filter(([, count]) => count !== 0));
}

/** Checks the length and every block. @param name of the file, for errors @throws {MinerError} FGRAMS_CORRUPT */
export function verifyFile(bytes: Uint8Array, manifest: FgramManifest, name: string): void {
  const expected = fileBytes(manifest);
  if (bytes.length !== expected) throw corrupt(`${bytes.length} bytes, expected ${expected}`, name);
  const sums = blockSums(bytes);
  if (sums.length !== manifest.blocks.length) throw corrupt(`${sums.length} blocks, but ${manifest.blocks.length} checksums`, name);
  const damaged = sums.findIndex((sum, i) => sum !== manifest.blocks[i]);
  if (damaged >= 0) throw corrupt(`block ${damaged} (from byte ${damaged * BLOCK}) has another checksum`, name);
}

function blockSums(bytes: Uint8Array): number[] {
  return Array.from({ length: Math.ceil(bytes.length / BLOCK) }, (_, i) => crc32(bytes.subarray(i * BLOCK, (i + 1) * BLOCK)));
}

/** Views of a file's sections. @param bytes of fileBytes(manifest) bytes, from a multiple of eight on */
export function sectionsIn(bytes: Uint8Array, { runs }: FgramManifest): { readonly words: Int32Array; readonly runs: CountRuns } {
  const { buffer, byteOffset } = bytes;
  return {
    words: new Int32Array(buffer, byteOffset + slotsAt(runs), (bytes.length - slotsAt(runs)) / 4),
    runs: { counts: new Float64Array(buffer, byteOffset, runs), firsts: new Uint32Array(buffer, byteOffset + runs * 8, runs) },
  };
}

export function corrupt(what: string, name: string): MinerError {
  return new MinerError('FGRAMS_CORRUPT', `${name}: ${what}`, 'Copy or mine the f-grams again.');
}
