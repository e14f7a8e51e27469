import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeSafetensors, parseSafetensors, readCheckpoint, writeCheckpoint } from './index.js';

test('a checkpoint of several pieces is a safetensors file with its checksum first, and damage to any piece is told', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const file = join(directory, 'model.safetensors');
    const tensors = new Map(
      [0, 3, 1_300_000, 1, 1_100_000].map((size, i) => [
        `t${i}`,
        { shape: [size], data: Float32Array.from({ length: size }, (_, j) => j / 8 + i) },
      ]),
    );
    for (const dtype of ['F32', 'BF16'] as const) {
      await writeCheckpoint(file, tensors, { made: 'here' }, { dtype });
      const bytes = readFileSync(file);
      const { metadata, tensors: parsed } = parseSafetensors(bytes, file);
      expect(metadata).toMatchObject({ checksum: expect.stringMatching(/^crc32:[0-9a-f]{8}$/), made: 'here' });
      expect(bytes.equals(encodeSafetensors(tensors, metadata, { dtype }))).toBe(true);
      const read = await readCheckpoint(file);
      expect([...read.keys()]).toEqual([...tensors.keys()]);
      for (const [name, { shape, data }] of parsed) {
        expect(read.get(name)!.shape).toEqual(shape);
        expect(Buffer.from(read.get(name)!.data.buffer).equals(Buffer.from(data.buffer)), name).toBe(true);
      }
    }
    const bytes = readFileSync(file);
    for (const at of [2 ** 22 - 1, 2 ** 22, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at] ^= 1;
      writeFileSync(file, damaged);
      await expect(readCheckpoint(file), `byte ${at}`).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
