/** Writes a split's shards, and beside each one a file that says of its documents where they start and where they are from. */

import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip, gzipSync } from 'node:zlib';
import { withArtifactErrors } from '@sconelm/artifact';
import type { DocumentLabels } from '../documents/document.js';
import { MinerError } from '../errors.js';
import { BlockWriter } from './block-writer.js';
import type { DocumentRecord } from './part.js';
import type { Split } from './selection.js';

/** A shard as dataset.json describes it. */
export interface ShardEntry {
  readonly file: string;
  /** JSON lines of `ShardDocument`, gzip. */
  readonly documentsFile: string;
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
    for (const file of this.#files) await file.close();
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
    this.#open ??= new OpenShard([await this.#create('bin'), await this.#create('docs.jsonl.gz')]);
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
      file: this.#name('bin'),
      documentsFile: this.#name('docs.jsonl.gz'),
      tokens,
      documents,
      bytes,
      blocks: writer.sums,
    });
  }

  #name(ending: string): string {
    return `${this.#split}-${String(this.#shards.length).padStart(5, '0')}.${ending}`;
  }

  #create(ending: string): Promise<FileHandle> {
    return open(path.join(this.#directory, this.#name(ending)), 'wx');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.close();
    this.#open = undefined;
  }
}

/** Documents of a shard, in order. @param file a shard's `documents` @throws {MinerError} DATASET_CORRUPT; {ArtifactError} missing */
export async function* readShardDocuments(file: string): AsyncGenerator<ShardDocument> {
  const input = await withArtifactErrors(file, () => open(file));
  try {
    const lines = createInterface({ input: input.createReadStream().pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY });
    for await (const line of lines) yield JSON.parse(line);
  } catch (cause) {
    throw new MinerError('DATASET_CORRUPT', `${file} is damaged`, 'Prepare the data again.', cause);
  }
}
