/** Sources on disk, in the folder `sources` of the f-gram set: sources.bin, the collector's entries as they are, and sources.json, which knows its blocks' checksums. */
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import {
  CorruptArtifactError,
  publishBytes,
  publishDirectory,
  readManifest,
  sha256,
  withArtifactErrors,
  writeManifest,
} from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import type { FgramSet } from '../fgrams/index.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { readShardDocuments, type ShardDocument } from '../tokens/split-writer.js';
import { NO_DOCUMENT, type SourceCollector } from './source-collector.js';

const form = {
  kind: 'scone-fgram-sources',
  version: 1,
  schema: z.strictObject({
    /** Hash of the set. */
    fgrams: z.string(),
    size: z.int().nonnegative(),
    perFgram: z.int().min(1).max(255),
    /** Hash of what the corpus holds. */
    corpus: z.string(),
    /** Documents of each of its shards. */
    shardDocuments: z.array(z.int().nonnegative()),
    /** Whole f-grams. */
    blockBytes: z.int().positive(),
    /** CRC-32 of each block. */
    blocks: z.array(z.int().nonnegative()),
  }),
};
type SourcesManifest = z.infer<typeof form.schema>;

/** Small enough to be read and checked for the sake of one f-gram. */
const BLOCK = 1 << 16;

/** A folder of their own, so that both files are replaced at once. @param directory of the set */
const folderIn = (directory: string): string => path.join(directory, 'sources');
const pathsIn = (folder: string) => ({ bin: path.join(folder, 'sources.bin'), manifest: path.join(folder, 'sources.json') });

/** What the shards hold, wherever they are: the checksums of their blocks. */
const hashOf = ({ shards, dtype, blockBytes, boundary }: TokenCorpus): string =>
  sha256(JSON.stringify([dtype, blockBytes, boundary, shards.map(({ tokens, blocks }) => [tokens, blocks])]));

/** In place of older ones. @param directory where the set is published @throws {ArtifactError} */
export async function publishSources(
  directory: string,
  { set, corpus, collector }: { readonly set: FgramSet; readonly corpus: TokenCorpus; readonly collector: SourceCollector },
): Promise<void> {
  const { entries, shardDocuments, perFgram } = collector;
  const bytes = new Uint8Array(entries.buffer);
  const blockBytes = Math.floor(BLOCK / (perFgram * 8)) * perFgram * 8;
  const blocks = Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, i) =>
    crc32(bytes.subarray(i * blockBytes, (i + 1) * blockBytes)),
  );
  const manifest: SourcesManifest = {
    fgrams: set.hash,
    size: set.size,
    perFgram,
    corpus: hashOf(corpus),
    shardDocuments,
    blockBytes,
    blocks,
  };
  await publishDirectory(folderIn(directory), async (aside) => {
    const paths = pathsIn(aside);
    await publishBytes(paths.bin, bytes);
    await writeManifest(paths.manifest, { kind: form.kind, version: form.version, ...manifest });
  });
}

/** A place where an f-gram stands in the corpus. */
export interface FgramSource {
  /** Counted over the corpus, from 0. */
  readonly document: number;
  /** Where the f-gram begins; the token that opens the document is token 0. */
  readonly token: number;
}

export class FgramSources implements AsyncDisposable {
  /** Documents kept of each f-gram. */
  readonly perFgram: number;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #manifest: SourcesManifest;

  private constructor(file: FileHandle, path: string, manifest: SourcesManifest) {
    this.perFgram = manifest.perFgram;
    this.#file = file;
    this.#path = path;
    this.#manifest = manifest;
  }

  /**
   * @param directory of the set
   * @throws {MinerError} SOURCES_MISMATCH if they are of another set; {ArtifactError} missing, of another version, or corrupt
   */
  static async open(directory: string, set: FgramSet): Promise<FgramSources> {
    const paths = pathsIn(folderIn(directory));
    const manifest = await readManifest(paths.manifest, form);
    if (manifest.fgrams !== set.hash || manifest.size !== set.size) {
      throw new MinerError(
        'SOURCES_MISMATCH',
        `${paths.manifest} is of the f-gram set ${manifest.fgrams}, not ${set.hash}`,
        'Mine again with --sources.',
      );
    }
    const rows = manifest.blockBytes / (manifest.perFgram * 8);
    if (!Number.isInteger(rows) || manifest.blocks.length !== Math.ceil(set.size / rows))
      throw new CorruptArtifactError(
        `${paths.manifest}: ${manifest.blocks.length} blocks of ${manifest.blockBytes} bytes for ${set.size} f-grams`,
      );
    const file = await withArtifactErrors(paths.bin, () => open(paths.bin));
    return new FgramSources(file, paths.bin, manifest);
  }

  /** The first documents that hold an f-gram, in their order. Reads and checks one block. @throws {RangeError}; {ArtifactError} */
  async of(id: number): Promise<FgramSource[]> {
    const { size, perFgram, blockBytes, blocks } = this.#manifest;
    if (!Number.isInteger(id) || id < 0 || id >= size) throw new RangeError(`f-gram ${id} of ${size}`);
    const rowBytes = perFgram * 8;
    const index = Math.floor((id * rowBytes) / blockBytes);
    const start = index * blockBytes;
    const bytes = new Uint8Array(Math.min(blockBytes, size * rowBytes - start));
    const { bytesRead } = await withArtifactErrors(this.#path, () => this.#file.read(bytes, 0, bytes.length, start));
    if (bytesRead !== bytes.length || crc32(bytes) !== blocks[index])
      throw new CorruptArtifactError(`${this.#path}: block ${index} (from byte ${start}) is not as it was written`);
    const row = new Uint32Array(bytes.buffer, id * rowBytes - start, perFgram * 2);
    return Array.from({ length: perFgram }, (_, i) => ({ document: row[2 * i], token: row[2 * i + 1] })).filter(
      ({ document }) => document !== NO_DOCUMENT,
    );
  }

  /**
   * What the dataset knows of documents: file, id, source, licence. Reads the lists of the shards that hold them.
   * @param documents numbers as `of` gives them
   * @param corpus the training tokens of the dataset that the set was mined from
   * @throws {MinerError} SOURCES_MISMATCH: another corpus; SOURCES_UNNAMED: its shards have no lists of documents; DATASET_CORRUPT
   */
  async describe(documents: Iterable<number>, corpus: TokenCorpus): Promise<Map<number, ShardDocument>> {
    if (hashOf(corpus) !== this.#manifest.corpus)
      throw new MinerError('SOURCES_MISMATCH', `${this.#path} is of another dataset`, 'Give the dataset that the f-grams were mined from.');
    const wanted = new Set(documents);
    const described = new Map<number, ShardDocument>();
    let first = 0;
    for (const [i, count] of this.#manifest.shardDocuments.entries()) {
      let left = [...wanted].filter((document) => document >= first && document < first + count).length;
      if (left > 0) {
        const { path: shard, documents: list } = corpus.shards[i];
        if (list === undefined)
          throw new MinerError('SOURCES_UNNAMED', `${shard}: nothing is known of its documents`, 'Use a dataset that `prepare` made.');
        let document = first;
        for await (const entry of readShardDocuments(list)) {
          if (wanted.has(document)) {
            described.set(document, entry);
            left--;
          }
          if (left === 0) break;
          document++;
        }
        if (left > 0)
          throw new MinerError(
            'DATASET_CORRUPT',
            `${list} has ${document - first} documents, expected ${count}`,
            'Prepare the data again.',
          );
      }
      first += count;
    }
    return described;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
