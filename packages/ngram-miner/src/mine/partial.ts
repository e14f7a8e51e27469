/**
 * Unfinished work in DIRECTORY.partial: plan.json says what the steps are, and each finished one has a file of records and a manifest that is written last.
 * The same command goes on after the last finished step.
 */
import { open, readdir, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { acquireLock, type Lock, MissingArtifactError, publishFile, readManifest, writeManifest } from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import type { Step } from './plan.js';
import type { RecordFile } from './records.js';
import type { Segment } from './worker.js';

const count = z.int().nonnegative();
const planForm = {
  kind: 'scone-mine-plan',
  version: 1,
  schema: z.strictObject({
    fingerprint: z.string(),
    steps: z.array(
      z.strictObject({
        headings: z.array(z.strictObject({ length: count, token: count, count })),
        prefix: z.array(count),
        low: count,
        high: count,
        keys: count,
      }),
    ),
  }),
};
const stepForm = {
  kind: 'scone-mine-step',
  version: 1,
  schema: z.strictObject({ fingerprint: z.string(), bytes: count, checksum32: count }),
};

export interface StoredPlan {
  /** Of corpus, options and part. */
  readonly fingerprint: string;
  readonly steps: readonly Step[];
}

export class PartialWork implements AsyncDisposable {
  readonly directory: string;
  readonly #lock: Lock;

  private constructor(directory: string, lock: Lock) {
    this.directory = directory;
    this.#lock = lock;
  }

  /** @throws {LockedArtifactError} where another process mines to the same place */
  static async open(target: string): Promise<PartialWork> {
    const directory = `${path.resolve(target)}.partial`;
    return new PartialWork(directory, await acquireLock(path.join(directory, 'lock')));
  }

  /** What was planned before, if anything. @throws {MinerError} MINE_PARTIAL if it was for another corpus or other options */
  async plan(fingerprint: string): Promise<StoredPlan | undefined> {
    const plan = await ifThere(readManifest(this.#file('plan.json'), planForm));
    if (plan !== undefined && plan.fingerprint !== fingerprint)
      throw new MinerError(
        'MINE_PARTIAL',
        `${this.directory} has the unfinished work of another corpus or other options`,
        'Finish it with the command that began it, or delete the folder.',
      );
    return plan;
  }

  /** Begins anew: what steps there are is forgotten. */
  async begin(plan: StoredPlan): Promise<void> {
    for (const name of await readdir(this.directory)) if (name !== 'lock') await rm(this.#file(name), { force: true });
    await writeManifest(this.#file('plan.json'), { kind: planForm.kind, version: planForm.version, ...plan });
  }

  /** The records of a step, if it is finished. */
  async finished(step: number, fingerprint: string): Promise<RecordFile | undefined> {
    const found = await ifThere(readManifest(this.#file(`${nameOf(step)}.json`), stepForm));
    if (found === undefined || found.fingerprint !== fingerprint) return undefined;
    return { path: this.#file(`${nameOf(step)}.records`), bytes: found.bytes, checksum: found.checksum32 };
  }

  /** Where a thread puts its records of the step at hand. */
  outputOf(worker: number): string {
    return this.#file(`worker-${worker}.records`);
  }

  /** Publishes the records of a step: those of its headings, then the segments in order. */
  async finish(step: number, fingerprint: string, head: readonly Uint8Array[], segments: readonly Segment[]): Promise<RecordFile> {
    const file = this.#file(`${nameOf(step)}.records`);
    let bytes = 0;
    let checksum = 0;
    await publishFile(file, async (target) => {
      const append = async (piece: Uint8Array) => {
        await target.writeFile(piece);
        bytes += piece.length;
        checksum = crc32(piece, checksum);
      };
      for (const piece of head) await append(piece);
      for await (const piece of piecesOf(segments)) await append(piece);
    });
    await writeManifest(this.#file(`${nameOf(step)}.json`), {
      kind: stepForm.kind,
      version: stepForm.version,
      fingerprint,
      bytes,
      checksum32: checksum,
    });
    return { path: file, bytes, checksum };
  }

  /** Removes the folder: all is published. */
  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock.release();
    // Where work never began, nothing stays.
    if ((await readdir(this.directory).catch(() => ['gone'])).length === 0) await rmdir(this.directory);
  }

  #file(name: string): string {
    return path.join(this.directory, name);
  }
}

const nameOf = (step: number): string => `step-${String(step).padStart(5, '0')}`;

const COPY_BYTES = 1 << 20;

async function* piecesOf(segments: readonly Segment[]): AsyncGenerator<Uint8Array> {
  const files = new Map<string, Awaited<ReturnType<typeof open>>>();
  const buffer = new Uint8Array(COPY_BYTES);
  try {
    for (const { path: name, offset, bytes } of segments) {
      const file = files.get(name) ?? (await open(name));
      files.set(name, file);
      for (let done = 0; done < bytes; ) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(COPY_BYTES, bytes - done), offset + done);
        if (bytesRead === 0) throw new Error(`unreachable: ${name} ends at byte ${offset + done}`);
        yield buffer.subarray(0, bytesRead);
        done += bytesRead;
      }
    }
  } finally {
    for (const file of files.values()) await file.close();
  }
}

async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof MissingArtifactError) return undefined;
    throw error;
  }
}
