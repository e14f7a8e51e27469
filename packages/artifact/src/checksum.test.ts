/** Checksums name the block that changed. */
import { open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { crc32Blocks, sha256, sha256File, verifyBlocks } from './index.js';

const path = join(tmpdir(), `artifact-checksum-${process.pid}`);
afterAll(() => rm(path, { force: true }));

const content = fc.uint8Array({ minLength: 1, maxLength: 4000 });
const blockBytes = fc.integer({ min: 1, max: 600 });

test('the check value of CRC-32 and of SHA-256', async () => {
  await writeFile(path, '123456789');
  expect(await crc32Blocks(path)).toEqual([0xcbf43926]);
  expect(await sha256File(path)).toBe(sha256('123456789'));
  expect(sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

test('there is one sum per started block, and an unchanged file passes', () =>
  fc.assert(
    fc.asyncProperty(content, blockBytes, async (bytes, size) => {
      await writeFile(path, bytes);
      const sums = await crc32Blocks(path, size);
      expect(sums).toHaveLength(Math.ceil(bytes.length / size));
      await verifyBlocks(path, sums, size);
      await using file = await open(path);
      await verifyBlocks(file, sums, size);
    }),
    { numRuns: 40 },
  ));

test('any changed bit is found, with its block', () =>
  fc.assert(
    fc.asyncProperty(content, blockBytes, fc.nat(), fc.integer({ min: 0, max: 7 }), async (bytes, size, at, bit) => {
      await writeFile(path, bytes);
      const sums = await crc32Blocks(path, size);
      const damaged = at % bytes.length;
      bytes[damaged]! ^= 1 << bit;
      await writeFile(path, bytes);
      const block = Math.floor(damaged / size);
      await expect(verifyBlocks(path, sums, size)).rejects.toMatchObject({
        code: 'ARTIFACT_CORRUPT',
        message: expect.stringContaining(`block ${block} (from byte ${block * size})`),
      });
    }),
    { numRuns: 40 },
  ));

test('a file that is shorter or longer by a block is found', async () => {
  await writeFile(path, 'aabbcc');
  const sums = await crc32Blocks(path, 2);
  await writeFile(path, 'aabb');
  await expect(verifyBlocks(path, sums, 2)).rejects.toThrow('2 blocks of 2 bytes, expected 3');
  await writeFile(path, 'aabbccdd');
  await expect(verifyBlocks(path, sums, 2)).rejects.toThrow('4 blocks of 2 bytes, expected 3');
});

test('a missing file is ARTIFACT_MISSING', async () => {
  await expect(crc32Blocks(`${path}-none`)).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
});
