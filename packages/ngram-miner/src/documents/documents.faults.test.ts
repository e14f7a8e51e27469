/** Hostile text files under caps of memory and time: each is read, or a fault with code and remedy. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createGzip, gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, describe, expect, test } from 'vitest';
import { flawOf, forEveryCallOfReader, forHostileJson, randomFrom, runSeed, times, underCaps } from '../../../../tools/faults/index.mjs';
import { readDocuments } from './read-documents.js';
import type { TextError } from './text-error.js';

const folder = mkdtempSync(path.join(tmpdir(), 'miner hostile '));
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads everything that can be read; faults must be typed and name the file. */
async function readAll(file: string): Promise<{ texts: string[]; faults: TextError[] }> {
  const texts: string[] = [];
  const faults: TextError[] = [];
  for await (const { text } of readDocuments([file], { onFault: (fault) => faults.push(fault) })) texts.push(text);
  for (const fault of faults) {
    expect(flawOf(fault)).toBeUndefined();
    expect(fault.message).toContain(file);
  }
  return { texts, faults };
}

test('hostile JSON is a document or a fault', async () => {
  const file = path.join(folder, 'hostile.jsonl');
  let faulty = 0;
  const seen = await forHostileJson({ id: 'a', text: 'some text', source: 'here', licence: 'CC0', more: [1, { a: 2 }] }, async (text) => {
    writeFileSync(file, text.replaceAll('\n', ' '));
    if ((await readAll(file)).faults.length > 0) faulty++;
  });
  expect(seen.refused).toBe(0);
  expect(faulty).toBeGreaterThan(100);
  expect(faulty).toBeLessThan(seen.tried);
});

describe('damaged files are read, or faults, under the caps:', () => {
  const values = Array.from({ length: 60 }, (_, i) => `a text of some length, number ${i}, é`.repeat(1 + (i % 4)));
  const table = (codec: 'SNAPPY' | 'UNCOMPRESSED') =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'text', data: values, type: 'STRING' },
          { name: 'id', data: values.map((_, i) => i), type: 'INT32' },
        ],
        codec,
        rowGroupSize: 25,
      }),
    );
  const lines = values.map((text) => `${JSON.stringify({ text })}\n`).join('');
  const files: Record<string, Uint8Array> = {
    'snappy.parquet': table('SNAPPY'),
    'plain.parquet': table('UNCOMPRESSED'),
    'lines.jsonl.gz': gzipSync(lines),
  };
  test.each(Object.entries(files))('%s', async (name, whole) => {
    const file = path.join(folder, name);
    let faulty = 0;
    await underCaps(times(700, 2_000_000), async (index) => {
      const random = randomFrom(runSeed + index);
      const damaged = Buffer.from(whole);
      const kind = random.below(4);
      const at = kind === 3 ? damaged.length - 1 - random.below(Math.min(damaged.length, 200)) : random.below(damaged.length);
      if (kind === 0) damaged[at] ^= 1 << random.below(8);
      else if (kind === 1) damaged.fill(255, at, at + 1 + random.below(9));
      else damaged[at] = random.below(256);
      writeFileSync(file, kind === 2 ? damaged.subarray(0, at) : damaged);
      if ((await readAll(file)).faults.length > 0) faulty++;
    });
    expect(faulty).toBeGreaterThan(50);
  });
});

/** A gzip file of `count` times the same megabyte, and what comes after. */
async function writeRepeated(file: string, megabyte: Buffer, count: number, after: string): Promise<void> {
  const packed: Buffer[] = [];
  const gzip = createGzip({ level: 1 });
  gzip.on('data', (data: Buffer) => packed.push(data));
  for (let i = 0; i < count; i++) if (!gzip.write(megabyte)) await new Promise((resolve) => gzip.once('drain', resolve));
  const ended = new Promise((resolve) => gzip.once('end', resolve));
  gzip.end(after);
  await ended;
  writeFileSync(file, Buffer.concat(packed));
}

test('a bomb is refused with bounded memory, and what follows is read', async () => {
  const file = path.join(folder, 'bomb.jsonl.gz');
  await writeRepeated(file, Buffer.alloc(2 ** 20, 'a'), 600, '\n{"text":"after it"}\n');
  const before = process.memoryUsage.rss();
  const { texts, faults } = await readAll(file);
  expect(faults).toMatchObject([{ code: 'TEXT_TOO_LARGE', offset: 0 }]);
  expect(texts).toEqual(['after it']);
  expect(process.memoryUsage.rss() - before).toBeLessThan(500 * 2 ** 20);
});

test('a text that is too long for one document is cut behind its lines; one without lines is refused', async () => {
  const file = path.join(folder, 'long.txt.gz');
  const line = `${'a line '.repeat(9)}\n`; // 64 bytes
  await writeRepeated(file, Buffer.from(line.repeat(2 ** 14)), 257, 'the end');
  const found: { length: number; start: string; offset: number }[] = [];
  for await (const { text, offset } of readDocuments([file])) found.push({ length: text.length, start: text.slice(0, 7), offset });
  expect(found).toEqual([
    { length: 2 ** 28, start: 'a line ', offset: 0 },
    { length: 2 ** 20 + 7, start: 'a line ', offset: 2 ** 28 },
  ]);
  await writeRepeated(file, Buffer.alloc(2 ** 20, 'a'), 257, '');
  expect(await readAll(file)).toMatchObject({ texts: [], faults: [{ code: 'TEXT_TOO_LARGE', offset: 0 }] });
});

test('every call of a reader failing', async () => {
  const setUp = async (root: string) => {
    writeFileSync(path.join(root, 'a.txt'), 'a text');
    writeFileSync(path.join(root, 'b.jsonl.gz'), gzipSync('{"text":"b"}\n'));
    writeFileSync(
      path.join(root, 'c.parquet'),
      new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: ['c'], type: 'STRING' }] })),
    );
  };
  const read = async (root: string) => {
    const found: string[] = [];
    for await (const { text } of readDocuments([root])) found.push(text);
    return found;
  };
  const tried = await forEveryCallOfReader(setUp, read);
  expect(tried.EIO).toBeGreaterThan(10);
});
