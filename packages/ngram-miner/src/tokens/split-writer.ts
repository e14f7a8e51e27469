/** Writes a split's shards, and beside each one a file that says of its documents where they start and where they are from. */

import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip, gzipSync } from 'node:zlib';
import { withArtifactErrors } from '@sconelm/artifact';
import type { DocumentLabels } from '../documents/document.js';
import { linesOf } from '../documents/lines.js';
import { textOf } from '../documents/utf8.js';
import { MinerError } from '../errors.js';
import { BlockWriter } from './block-writer.js';
import type { TokenShard } from './corpus.js';
import type { DocumentRecord } from './part.js';
import type { Split } from './selection.js';

/** A shard as dataset.json describes it: the files of split and number, `train-00000.bin` and `train-00000.docs.jsonl.gz`. */
export interface ShardEntry {
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the documents' text. */
  readonly bytes: number;
  /** CRC-32 of each MiB. */
  readonly blocks: readonly number[];
}

/** Where a document of a shard starts and is from. */
export interface ShardDocument extends DocumentLabels {
  /** Its first token in the shard, which is the boundary. */
  readonly start: number;
  readonly file: string;
  readonly offset: number;
}

/** Lines are packed so many bytes at a time. */
const LINES = 2 ** 20;

/** `train-00000.bin` */
export const shardName = (split: Split, index: number, ending: string): string => `${split}-${String(index).padStart(5, '0')}.${ending}`;

class OpenShard {
  tokens = 0;
  documents = 0;
  bytes = 0;
  readonly writer: BlockWriter;
  readonly #files: readonly [tokens: FileHandle, documents: FileHandle];
  #lines: string[] = [];
  #size = 0;

  constructor(files: readonly [FileHandle, FileHandle]) {
    this.#files = files;
    this.writer = new BlockWriter(files[0]);
  }

  async begin({ digest: _, tokens, bytes, ...where }: DocumentRecord): Promise<void> {
    const line = `${JSON.stringify({ start: this.tokens, ...where })}\n`;
    this.#lines.push(line);
    this.#size += line.length;
    this.tokens += tokens;
    this.documents++;
    this.bytes += bytes;
    if (this.#size > LINES) await this.#pack();
  }

  async #pack(): Promise<void> {
    await this.#files[1].writeFile(gzipSync(this.#lines.join('')));
    this.#lines = [];
    this.#size = 0;
  }

  async finish(): Promise<void> {
    await this.writer.flush();
    await this.#pack();
  }

  async close(): Promise<void> {
    try {
      await this.#files[0].close();
    } finally {
      await this.#files[1].close();
    }
  }
}

export class SplitWriter implements AsyncDisposable {
  readonly #shards: ShardEntry[] = [];
  readonly #directory: string;
  readonly #split: Split;
  readonly #shardTokens: number;
  #open: OpenShard | undefined;

  /** @param shardTokens a shard with so many tokens gets no further document */
  constructor(directory: string, split: Split, shardTokens: number) {
    this.#directory = directory;
    this.#split = split;
    this.#shardTokens = shardTokens;
  }

  /** @returns what takes the bytes of the document's tokens */
  async begin(record: DocumentRecord): Promise<(bytes: Uint8Array) => Promise<void> | undefined> {
    if (this.#open !== undefined && this.#open.tokens >= this.#shardTokens) await this.#finish();
    this.#open ??= await this.#begin();
    await this.#open.begin(record);
    const { writer } = this.#open;
    return (bytes) => writer.write(bytes);
  }

  /** The last shard is finished; nothing may be added. */
  async end(): Promise<readonly ShardEntry[]> {
    if (this.#open !== undefined) await this.#finish();
    return this.#shards;
  }

  async #finish(): Promise<void> {
    const shard = this.#open;
    if (shard === undefined) throw new Error('unreachable: no shard is open');
    await shard.finish();
    await this[Symbol.asyncDispose]();
    const { tokens, documents, bytes, writer } = shard;
    this.#shards.push({
      tokens,
      documents,
      bytes,
      blocks: writer.sums,
    });
  }

  #name(ending: string): string {
    return shardName(this.#split, this.#shards.length, ending);
  }

  async #begin(): Promise<OpenShard> {
    const create = (ending: string) => open(path.join(this.#directory, this.#name(ending)), 'wx');
    const tokens = await create('bin');
    try {
      return new OpenShard([tokens, await create('docs.jsonl.gz')]);
    } catch (error) {
      await tokens.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }
}

/** Documents of a shard, in order. @throws {MinerError} DATASET_CORRUPT; {ArtifactError} missing */
export async function* readShardDocuments({ path: file, count }: NonNullable<TokenShard['documents']>): AsyncGenerator<ShardDocument> {
  const input = await withArtifactErrors(file, () => open(file));
  const unpacked = pipeline(input.createReadStream(), createGunzip(), () => {}); // whose errors the loop throws
  let found = 0;
  try {
    for await (const { bytes } of linesOf(unpacked)) {
      yield JSON.parse(textOf(bytes ?? new Uint8Array()));
      found++;
    }
    if (found !== count) throw new Error(`${found} documents, expected ${count}`);
  } catch (cause) {
    throw new MinerError('DATASET_CORRUPT', `${file} is damaged`, 'Prepare the data again.', cause);
  } finally {
    unpacked.destroy();
    await withArtifactErrors(file, () => input.close());
  }
}
