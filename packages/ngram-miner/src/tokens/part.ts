/**
 * A unit's tokens while a dataset is being prepared, as two files: NAME.bin, the tokens, and NAME.jsonl, a line for each document and each fault.
 * The second is published last, so a part is there whole or not at all. Its name is made from everything its content depends on.
 */
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { publishFile, sha256, withArtifactErrors } from '@sconelm/artifact';
import type { DocumentLabels } from '../documents/document.js';
import { linesOf } from '../documents/lines.js';
import type { TextError } from '../documents/text-error.js';
import { textOf } from '../documents/utf8.js';
import { MinerError } from '../errors.js';
import { BlockWriter } from './block-writer.js';
import type { TokenCorpus } from './corpus.js';
import type { ReadSettings, Unit } from './units.js';

/** What decides how text becomes tokens, the tokenizer apart. */
export interface EncodeSettings extends ReadSettings {
  /** Where parts are kept. */
  readonly directory: string;
  readonly tokenizerHash: string;
  readonly dtype: TokenCorpus['dtype'];
}

export interface DocumentRecord extends DocumentLabels {
  readonly digest: string;
  /** The boundary included. */
  readonly tokens: number;
  /** Of UTF-8. */
  readonly bytes: number;
  readonly file: string;
  readonly offset: number;
}

/** Something that was left out. */
export interface Skipped {
  readonly file: string;
  readonly offset: number;
  readonly code: string;
  readonly message: string;
}

type PartLine = DocumentRecord | { readonly skipped: Skipped };

export function partPath(unit: Unit, { directory, ...settings }: EncodeSettings): string {
  return path.join(directory, sha256(JSON.stringify([1, unit, settings])).slice(0, 32));
}

export const partExists = (part: string): boolean => existsSync(`${part}.jsonl`);

export class PartWriter {
  readonly #tokens: BlockWriter;
  readonly #lines: BlockWriter;

  private constructor(tokens: FileHandle, lines: FileHandle) {
    this.#tokens = new BlockWriter(tokens);
    this.#lines = new BlockWriter(lines);
  }

  /** Publishes what `write` writes. */
  static publish(part: string, write: (writer: PartWriter) => Promise<void>): Promise<void> {
    return publishFile(`${part}.jsonl`, (lines) =>
      publishFile(`${part}.bin`, async (tokens) => {
        const writer = new PartWriter(tokens, lines);
        await write(writer);
        await writer.#tokens.flush();
        await writer.#lines.flush();
      }),
    );
  }

  async addDocument(record: DocumentRecord, tokens: Uint8Array): Promise<void> {
    await this.#tokens.write(tokens);
    await this.#lines.write(lineOf(record));
  }

  async addSkipped({ file, offset, code, message }: TextError): Promise<void> {
    await this.#lines.write(lineOf({ skipped: { file, offset, code, message } }));
  }
}

const lineOf = (line: PartLine): Uint8Array => Buffer.from(`${JSON.stringify(line)}\n`);

const CHUNK = 2 ** 20;

/**
 * Reads a part in order: gives `onDocument` each record, and the bytes of its tokens, piece by piece, to the function it returns, if any.
 * @throws {MinerError} DATASET_CORRUPT if tokens and records do not agree
 */
export async function readPart(
  part: string,
  width: number,
  {
    onDocument,
    onSkipped,
  }: {
    readonly onDocument: (record: DocumentRecord) => Promise<((bytes: Uint8Array) => Promise<void> | undefined) | undefined>;
    readonly onSkipped: (skipped: Skipped) => void;
  },
): Promise<void> {
  await withArtifactErrors(part, async () => {
    const tokens = await open(`${part}.bin`);
    try {
      let chunk = Buffer.alloc(0);
      let at = 0;
      const buffer = Buffer.alloc(CHUNK);
      const refill = async () => {
        const { bytesRead } = await tokens.read(buffer, 0, CHUNK);
        if (bytesRead === 0)
          throw new MinerError('DATASET_CORRUPT', `${part}.bin ends too early`, `Delete ${path.dirname(part)} and prepare again.`);
        chunk = buffer.subarray(0, bytesRead);
        at = 0;
      };
      for await (const { bytes } of linesOf(createReadStream(`${part}.jsonl`))) {
        const line: PartLine = JSON.parse(textOf(bytes ?? new Uint8Array()));
        if ('skipped' in line) {
          onSkipped(line.skipped);
          continue;
        }
        const write = await onDocument(line);
        for (let left = line.tokens * width; left > 0; ) {
          if (at === chunk.length) await refill();
          const bytes = chunk.subarray(at, at + left);
          const written = write?.(bytes);
          if (written !== undefined) await written;
          at += bytes.length;
          left -= bytes.length;
        }
      }
    } finally {
      await tokens.close();
    }
  });
}
