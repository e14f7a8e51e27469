/**
 * Checksums of files: one CRC-32 per block, so that damage has an address, and SHA-256 for identity.
 * CRC-32 is zlib's (IEEE 802.3, reflected polynomial 0xEDB88320).
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { CorruptArtifactError, withArtifactErrors } from './errors.js';

/** Bytes a checksum covers unless told otherwise: 1 MiB. */
export const defaultBlockBytes = 1 << 20;

/**
 * The CRC-32 of each block of a file, in order; the last block may be shorter. An empty file has none.
 * @param source a path, or an open file (read by position, not closed)
 * @throws {ArtifactError} ARTIFACT_MISSING, ARTIFACT_IO
 */
export async function crc32Blocks(source: string | FileHandle, blockBytes = defaultBlockBytes): Promise<number[]> {
  const sums: number[] = [];
  await eachBlock(source, blockBytes, (block) => {
    sums.push(crc32(block));
  });
  return sums;
}

/**
 * Checks a file against the checksums of its blocks.
 * @throws {CorruptArtifactError} naming the first block that differs, or the block where the file ends too early or too late
 */
export async function verifyBlocks(source: string | FileHandle, sums: readonly number[], blockBytes = defaultBlockBytes): Promise<void> {
  const name = typeof source === 'string' ? source : 'the file';
  const found = await crc32Blocks(source, blockBytes);
  for (let block = 0; block < Math.min(found.length, sums.length); block += 1) {
    if (found[block] === sums[block]) continue;
    const expected = `expected ${hex(sums[block]!)}, got ${hex(found[block]!)}`;
    throw new CorruptArtifactError(`${name}: block ${block} (from byte ${block * blockBytes}) has another checksum: ${expected}`);
  }
  if (found.length !== sums.length) {
    throw new CorruptArtifactError(`${name}: ${found.length} blocks of ${blockBytes} bytes, expected ${sums.length}`);
  }
}

/** SHA-256 of a file's content, in hexadecimal. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  await eachBlock(path, defaultBlockBytes, (block) => {
    hash.update(block);
  });
  return hash.digest('hex');
}

/** SHA-256 of bytes, or of a string's UTF-8 form, in hexadecimal. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}

const hex = (sum: number): string => sum.toString(16).padStart(8, '0');

async function eachBlock(source: string | FileHandle, blockBytes: number, visit: (block: Uint8Array) => void): Promise<void> {
  if (typeof source === 'string') {
    await withArtifactErrors(source, async () => {
      const file = await open(source);
      try {
        await readBlocks(file, blockBytes, visit);
      } finally {
        await file.close();
      }
    });
  } else {
    await withArtifactErrors('an open file', () => readBlocks(source, blockBytes, visit));
  }
}

async function readBlocks(file: FileHandle, blockBytes: number, visit: (block: Uint8Array) => void): Promise<void> {
  const buffer = new Uint8Array(blockBytes);
  for (let position = 0; ; ) {
    let filled = 0;
    while (filled < blockBytes) {
      const { bytesRead } = await file.read(buffer, filled, blockBytes - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled > 0) visit(buffer.subarray(0, filled));
    if (filled < blockBytes) return;
    position += filled;
  }
}
