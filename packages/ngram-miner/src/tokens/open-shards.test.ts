import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openShards } from './open-shards.js';
import { loadTokens } from './read-tokens.js';

const folder = mkdtempSync(path.join(tmpdir(), 'miner shards '));
afterAll(() => rmSync(folder, { recursive: true }));
function write(name: string, tokens: Uint16Array | Uint32Array | Uint8Array): string {
  const file = path.join(folder, name);
  writeFileSync(file, tokens);
  return file;
}
const form = { dtype: 'u16', vocabSize: 1000, boundary: 0 } as const;

it('opens bare files of tokens, and holds what is read later against them', async () => {
  const files = [
    write('a.bin', Uint16Array.from([0, 1, 999])),
    write('b b.bin', Uint16Array.from([0, 7])),
    write('empty.bin', new Uint16Array()),
  ];
  const corpus = await openShards({ ...form, files });
  expect([...(await loadTokens(corpus))]).toEqual([0, 1, 999, 0, 7]);
  write('b b.bin', Uint16Array.from([0, 8]));
  await expect(loadTokens(corpus)).rejects.toMatchObject({ code: 'DATASET_CORRUPT', message: expect.stringContaining('b b.bin') });
  const wide = write('wide.bin', Uint32Array.from([0, 70_000]));
  expect([...(await loadTokens(await openShards({ files: [wide], dtype: 'u32', vocabSize: 70_001, boundary: 0 })))]).toEqual([0, 70_000]);
});

it('names file and byte of a token outside the vocabulary, odd sizes and impossible options', async () => {
  const tokens = new Uint16Array(700_000);
  tokens[600_001] = 1000;
  const outside = write('outside.bin', tokens);
  const invalid = (message: string) => ({ code: 'SHARDS_INVALID', message: expect.stringContaining(message) });
  await expect(openShards({ ...form, files: [outside] })).rejects.toMatchObject(
    invalid(`${outside}, byte 1200002: token 1000 is not below 1000`),
  );
  await expect(openShards({ ...form, files: [write('odd.bin', new Uint8Array(3))] })).rejects.toMatchObject(invalid('3 bytes'));
  await expect(openShards({ ...form, files: [] })).rejects.toMatchObject(invalid('no shards'));
  await expect(openShards({ ...form, vocabSize: 70_000, files: [outside] })).rejects.toMatchObject(invalid('70000'));
  await expect(openShards({ ...form, boundary: 1000, files: [outside] })).rejects.toMatchObject(invalid('1000'));
  await expect(openShards({ ...form, files: [path.join(folder, 'none.bin')] })).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
});
