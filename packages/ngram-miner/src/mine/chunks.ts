/** Shards in pieces of a checksum's block, read into shared memory. */
import { closeSync, openSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { MinerError } from '../errors.js';
import { type TokenCorpus, tokenBytes as tokenBytesOf } from '../tokens/corpus.js';
import type { ChunkView } from './kernel/kernel.js';

/** Tokens from..to of a shard. */
export interface Chunk {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** How many the shard has. */
  readonly shardTokens: number;
  /** CRC-32 of the chunk's bytes, where it is known. */
  readonly checksum?: number;
}

export function chunksOf(corpus: TokenCorpus): Chunk[] {
  const step = corpus.blockBytes / tokenBytesOf(corpus.dtype);
  return corpus.shards.flatMap(({ path, tokens, blocks }) =>
    Array.from({ length: Math.ceil(tokens / step) }, (_, i) => ({
      path,
      from: i * step,
      to: Math.min(tokens, (i + 1) * step),
      shardTokens: tokens,
      ...(blocks === undefined ? {} : { checksum: blocks[i] }),
    })),
  );
}

/** Gives each chunk to the worker that has the fewest tokens so far. */
export function shareOut(chunks: readonly Chunk[], workers: number): Chunk[][] {
  const shares = Array.from({ length: workers }, () => ({ chunks: [] as Chunk[], tokens: 0 }));
  for (const chunk of chunks) {
    const least = shares.reduce((a, b) => (b.tokens < a.tokens ? b : a));
    least.chunks.push(chunk);
    least.tokens += chunk.to - chunk.from;
  }
  return shares.map((share) => share.chunks);
}

export interface ReadChunkOptions {
  readonly memory: Uint8Array;
  readonly address: number;
  readonly tokenBytes: 2 | 4;
  /** Tokens before and after the chunk that are wanted too, as far as the shard has them. */
  readonly before: number;
  readonly after: number;
  /** Whether to check the checksum. */
  readonly check: boolean;
}

/** @throws {MinerError} DATASET_CORRUPT */
export function readChunk(chunk: Chunk, { memory, address, tokenBytes, before, after, check }: ReadChunkOptions): ChunkView {
  const { path, from, to, shardTokens, checksum } = chunk;
  const first = Math.max(0, from - before);
  const size = Math.min(shardTokens, to + after) - first;
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < size * tokenBytes; ) {
      const bytesRead = readSync(file, memory, address + done, size * tokenBytes - done, first * tokenBytes + done);
      if (bytesRead === 0) {
        const what = `${path} ends at byte ${first * tokenBytes + done}, expected ${shardTokens * tokenBytes}`;
        throw new MinerError('DATASET_CORRUPT', what, 'Prepare the data again.');
      }
      done += bytesRead;
    }
  } finally {
    closeSync(file);
  }
  const view = { address, from: from - first, to: to - first, size };
  if (check && checksum !== undefined) {
    const found = crc32(memory.subarray(address + view.from * tokenBytes, address + view.to * tokenBytes));
    if (found !== checksum) {
      const what = `${path}: bytes ${from * tokenBytes} to ${to * tokenBytes} have another checksum`;
      throw new MinerError('DATASET_CORRUPT', what, 'Prepare the data again.');
    }
  }
  return view;
}
