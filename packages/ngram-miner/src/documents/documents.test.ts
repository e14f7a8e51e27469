/** Readers of text: documents come out as they went in, whatever the packing; what is wrong is named by file and place. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from './document.js';
import { listInputs } from './input-file.js';
import { readDocuments, readSource } from './read-documents.js';
import type { TextError } from './text-error.js';
import { findInvalidUtf8 } from './utf8.js';

const root = mkdtempSync(path.join(tmpdir(), 'miner documents ünï '));
afterAll(() => rmSync(root, { recursive: true }));
let folder: string;
let runs = 0;
beforeEach(() => {
  folder = path.join(root, `run ${runs++}`);
  mkdirSync(folder);
});

/** A Zstandard frame of raw blocks (RFC 8878, 3.1.1). */
function zstdFrame(content: Uint8Array, blockBytes: number): Uint8Array {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(content.length);
  const parts = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0]), size];
  for (let at = 0; at === 0 || at < content.length; at += blockBytes) {
    const block = content.subarray(at, at + blockBytes);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (at + blockBytes >= content.length ? 1 : 0), 0, 3);
    parts.push(header, Buffer.from(block));
  }
  return Buffer.concat(parts);
}

/** Members or frames of `sizes` bytes, again and again. */
function inPieces(bytes: Uint8Array, sizes: readonly number[], pack: (piece: Uint8Array) => Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length])
    pieces.push(pack(bytes.subarray(at, at + sizes[i % sizes.length])));
  return Buffer.concat(pieces);
}

function write(name: string, content: Uint8Array | string): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/** Documents, and the faults that were passed over. */
async function read(paths: string | readonly string[], textField = 'text'): Promise<{ documents: Document[]; faults: TextError[] }> {
  const documents: Document[] = [];
  const faults: TextError[] = [];
  const options = { textField, onFault: (fault: TextError) => faults.push(fault) };
  for await (const document of readDocuments([paths].flat(), options)) documents.push(document);
  return { documents, faults };
}
const textsOf = async (paths: string | readonly string[]) => (await read(paths)).documents.map(({ text }) => text);

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }).filter((value) => /\S/.test(value));
const texts = fc.array(text, { minLength: 1, maxLength: 20 });
const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 });
const eol = fc.constantFrom('\n', '\r\n', '\n\n', '\n \t\n');

describe('documents', () => {
  it('are the same from .jsonl, .gz of many members, .zst of many frames, and .parquet', () =>
    fc.assert(
      fc.asyncProperty(texts, sizes, eol, fc.boolean(), async (values, pieces, end, isMarked) => {
        const lines = `${isMarked ? '\ufeff' : ''}${values.map((value, i) => JSON.stringify({ id: i, text: value, licence: 'CC0' })).join(end)}${end}`;
        const bytes = Buffer.from(lines);
        const columns = [
          { name: 'text', data: values, type: 'STRING' as const },
          { name: 'id', data: values.map((_, i) => i), type: 'INT32' as const },
          { name: 'license', data: values.map(() => 'CC0'), type: 'STRING' as const },
        ];
        const files = [
          write('a.jsonl', bytes),
          write('a.jsonl.gz', inPieces(bytes, pieces, gzipSync)),
          write(
            'a.jsonl.zst',
            inPieces(bytes, pieces, (piece) => zstdFrame(piece, 100)),
          ),
          write('a.parquet', new Uint8Array(parquetWriteBuffer({ columnData: columns, rowGroupSize: 7 }))),
        ];
        for (const file of files) {
          const { documents, faults } = await read(file);
          expect(faults).toEqual([]);
          expect(documents.map(({ offset: _, ...rest }) => rest)).toEqual(
            values.map((value, i) => ({ text: value, file, id: String(i), licence: 'CC0' })),
          );
        }
        const { documents } = await read(files[0]);
        for (const { offset, text: value } of documents) {
          const line = bytes
            .subarray(offset)
            .toString()
            .split('\n')[0]
            .replace(/^\ufeff/, '');
          expect(JSON.parse(line).text).toBe(value);
        }
      }),
      { numRuns: 40 },
    ));

  it('are those of the whole file whatever ranges it is divided into', () =>
    fc.assert(
      fc.asyncProperty(texts, eol, fc.array(fc.nat(2000), { maxLength: 4 }), async (values, end, cuts) => {
        const bytes = Buffer.from(values.map((value) => JSON.stringify({ text: value })).join(end));
        const table = { columnData: [{ name: 'text', data: values, type: 'STRING' as const }], rowGroupSize: 3 };
        for (const file of [write('r.jsonl', bytes), write('r.parquet', new Uint8Array(parquetWriteBuffer(table)))]) {
          const [input] = await listInputs([file]);
          const edges = [0, ...cuts.map((cut) => cut % input.size).sort((a, b) => a - b), input.size];
          const found: string[] = [];
          for (let i = 0; i + 1 < edges.length; i++) {
            if (edges[i] === edges[i + 1]) continue;
            for await (const { text: value } of readSource({ ...input, from: edges[i], to: edges[i + 1] }, {})) found.push(value);
          }
          expect(found).toEqual(values);
        }
      }),
      { numRuns: 40 },
    ));

  it('keep their line ends and lose a byte-order mark; an unknown name is text', async () => {
    const content = 'one\r\ntwo\rthree\n\n\ufefffour';
    expect(await textsOf([write('marked text.md', `\ufeff${content}`), write('b.txt.gz', gzipSync(content))])).toEqual([content, content]);
  });

  it('of a folder come in the order of names, hidden and other files left out, links to folders followed once', async () => {
    for (const name of [
      'b.txt',
      'a/2.txt',
      'a/10.txt',
      'Ж/x y.jsonl',
      '.hidden/c.txt',
      '.d.txt',
      'notes.md',
      'e.txt.gz',
      'data/train-00000.docs.jsonl.gz',
    ]) {
      const content = name.endsWith('jsonl') ? JSON.stringify({ text: name }) : name;
      write(`tree/${name}`, name.endsWith('.gz') ? gzipSync(content) : content);
    }
    symlinkSync(path.join(folder, 'tree'), path.join(folder, 'tree/a/loop'));
    expect(await textsOf(path.join(folder, 'tree'))).toEqual(['a/10.txt', 'a/2.txt', 'b.txt', 'e.txt.gz', 'Ж/x y.jsonl']);
    mkdirSync(path.join(folder, 'none'));
    await expect(textsOf(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'TEXT_EMPTY' });
    await expect(textsOf('/dev/null')).rejects.toMatchObject({ code: 'TEXT_MISSING', message: expect.stringContaining('no regular file') });
  });

  it('may be one line of 20 MB', async () => {
    const long = 'mit Käse '.repeat(2_000_000);
    const file = write('long.jsonl', `${JSON.stringify({ text: long })}\n{"text":"short"}`);
    expect((await textsOf(file)).map((value) => value.length)).toEqual([long.length, 5]);
  });
});

describe('what is wrong is named and the rest goes on:', () => {
  const good = '{"text":"good"}\n';
  const utf16 = Buffer.from('\ufeffwide', 'utf16le');
  const twice = gzipSync(good);
  const raw = Buffer.from(zstdFrame(Buffer.from(good), 100));
  /** What `zstd` makes of `good`; its last four bytes are the checksum. */
  const summed = Buffer.from('28b52ffd04588100007b2274657874223a22676f6f64227d0a3dfaf02f', 'hex');
  const damaged = Buffer.from(summed);
  damaged[20] ^= 1;
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7]);
  const deep = `${'['.repeat(100_000)}1${']'.repeat(100_000)}`;
  it.each<[string, Uint8Array | string, string, number, number]>([
    ['empty.txt', '', 'TEXT_EMPTY', -1, 0],
    ['blank.jsonl', '\n \n', 'TEXT_EMPTY', -1, 0],
    ['latin1.txt', Buffer.from('caf\xe9 au lait', 'latin1'), 'TEXT_NOT_UTF8', 3, 0],
    ['binary.txt', Buffer.from([65, 66, 0, 67]), 'TEXT_NOT_UTF8', 2, 0],
    ['utf16.txt', utf16, 'TEXT_NOT_UTF8', 0, 0],
    ['utf16.jsonl', utf16, 'TEXT_NOT_UTF8', 0, 0],
    [
      'latin1.jsonl',
      Buffer.concat([Buffer.from(good), Buffer.from('{"text":"\xe9"}\n', 'latin1'), Buffer.from(good)]),
      'TEXT_NOT_UTF8',
      25,
      2,
    ],
    ['torn.jsonl', `${good}{"text":"to\n${good}`, 'TEXT_FORMAT', 16, 2],
    ['other.jsonl', `${good}{"txt":"a"}\n[1]\nnull\n${good}`, 'TEXT_FORMAT', 16, 2],
    ['number.jsonl', `{"text":1e400}\n${good}`, 'TEXT_FORMAT', 0, 1],
    ['proto.jsonl', `{"__proto__":{"text":"a"}}\n${good}`, 'TEXT_FORMAT', 0, 1],
    ['deep.jsonl', `${deep}\n${good}`, 'TEXT_FORMAT', 0, 1],
    ['truncated.jsonl.gz', Buffer.concat([twice, twice.subarray(0, -9)]), 'TEXT_FORMAT', 32, 2],
    ['crc.jsonl.gz', Buffer.concat([twice, twice.subarray(0, -8), Buffer.alloc(8)]), 'TEXT_FORMAT', 0, 0],
    ['nogzip.jsonl.gz', good, 'TEXT_FORMAT', 0, 0],
    ['empty.jsonl.gz', '', 'TEXT_FORMAT', 0, 0],
    ['truncated.jsonl.zst', Buffer.concat([raw, raw.subarray(0, -3)]), 'TEXT_FORMAT', 16, 1],
    ['checksum.jsonl.zst', Buffer.concat([raw, skippable, summed, damaged]), 'TEXT_FORMAT', 48, 3],
    ['nozstd.jsonl.zst', good, 'TEXT_FORMAT', 0, 0],
    ['empty.jsonl.zst', '', 'TEXT_FORMAT', 0, 0],
    ['window.jsonl.zst', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0]), 'TEXT_FORMAT', 0, 0],
    ['no.parquet', good, 'TEXT_FORMAT', -1, 0],
    ['empty.parquet', '', 'TEXT_FORMAT', -1, 0],
  ])('%s', async (name, content, code, offset, rest) => {
    const file = write(name, content);
    const { documents, faults } = await read(file);
    expect(faults[0]).toMatchObject({ code, file, offset, message: expect.stringContaining(file), remedy: expect.stringMatching(/\.$/) });
    expect(documents).toHaveLength(rest);
    const stopped = textsOfStrict(file);
    await expect(stopped).rejects.toMatchObject({ code, offset });
  });

  it('a Zstandard frame with another checksum, by where it begins in the file', async () => {
    const { faults } = await read(write('sum.jsonl.zst', Buffer.concat([summed, skippable, summed, damaged])));
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringContaining(`the frame from byte ${2 * summed.length + 10} of the file`),
    ]);
  });

  const textsOfStrict = async (file: string) => {
    for await (const _ of readDocuments([file]));
  };

  it('parquet without the column, with bytes that are not UTF-8, cut anywhere', async () => {
    const table = { columnData: [{ name: 'body', data: ['a', 'b'], type: 'STRING' as const }] };
    const other = write('other.parquet', new Uint8Array(parquetWriteBuffer(table)));
    expect((await read(other)).faults[0]).toMatchObject({ code: 'TEXT_FORMAT', message: expect.stringContaining('"body"') });
    expect((await read(other, 'body')).documents.map(({ text: value }) => value)).toEqual(['a', 'b']);
    const bytes = [Buffer.from('ok'), Buffer.from([0xe9]), Buffer.from('ok too')];
    const mixed = parquetWriteBuffer({ columnData: [{ name: 'text', data: bytes, type: 'BYTE_ARRAY' }] });
    const { documents, faults } = await read(write('mixed.parquet', new Uint8Array(mixed)));
    expect(documents.map(({ text: value }) => value)).toEqual(['ok', 'ok too']);
    expect(faults).toMatchObject([{ code: 'TEXT_NOT_UTF8', offset: 1 }]);
    for (let length = 0; length < mixed.byteLength; length += 7) {
      const cut = await read(write('cut.parquet', new Uint8Array(mixed, 0, length)));
      expect(cut.faults.map(({ code }) => code)).toEqual(['TEXT_FORMAT']);
    }
  });

  it('an archive that is cut anywhere gives the lines before the cut, then a fault, and the same every time', () =>
    fc.assert(
      fc.asyncProperty(texts, sizes, fc.double({ min: 0, max: 0.999, noNaN: true }), async (values, pieces, share) => {
        const bytes = Buffer.from(values.map((value) => `${JSON.stringify({ text: value })}\n`).join(''));
        for (const [name, pack] of [
          ['c.jsonl.gz', gzipSync],
          ['c.jsonl.zst', (piece: Uint8Array) => zstdFrame(piece, 50)],
        ] as const) {
          const whole = inPieces(bytes, pieces, pack);
          const ends = new Set<number>();
          for (let at = 0, i = 0, packed = 0; at < bytes.length; at += pieces[i++ % pieces.length]) {
            ends.add(packed);
            packed += pack(bytes.subarray(at, at + pieces[i % pieces.length])).length;
          }
          const length = Math.floor(whole.length * share);
          const file = write(name, whole.subarray(0, length));
          const { documents, faults } = await read(file);
          expect(documents.map(({ text: value }) => value)).toEqual(values.slice(0, documents.length));
          if (!ends.has(length) || length === 0) expect(faults).toMatchObject([{ code: 'TEXT_FORMAT' }]);
          expect(await read(file)).toEqual({ documents, faults });
        }
      }),
      { numRuns: 60 },
    ));
});

it('after the members of a gzip file only zeros may follow', async () => {
  const [one, two] = ['{"text":"one"}\n', '{"text":"two"}\n'].map((line) => gzipSync(line));
  const readWith = (more: Uint8Array) => read(write('a.jsonl.gz', Buffer.concat([one, more])));
  for (const more of [new Uint8Array(0), new Uint8Array(1), new Uint8Array(40_000)])
    expect(await readWith(more)).toMatchObject({ documents: [{ text: 'one' }], faults: [] });
  for (const more of [Buffer.from('x'), Buffer.alloc(40_000, 120), two.subarray(1), Buffer.concat([new Uint8Array(9), two])]) {
    const { faults } = await readWith(more);
    expect(faults.at(0)).toMatchObject({ code: 'TEXT_FORMAT', message: expect.stringContaining('the gzip file is damaged') });
  }
});

it('the first byte that is not UTF-8 is where a strict decoder stops', () =>
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(0xc3, 0xa9, 0xed, 0xa0, 0x80, 0xf0, 0xf4, 0x9f, 0x90, 0xe0, 0xff), fc.nat(255)), { maxLength: 12 }),
      (values) => {
        const bytes = Uint8Array.from(values);
        const isValid = (part: Uint8Array) => {
          try {
            new TextDecoder('utf-8', { fatal: true }).decode(part);
            return true;
          } catch {
            return false;
          }
        };
        const found = findInvalidUtf8(bytes);
        expect(isValid(bytes)).toBe(found < 0);
        if (found < 0) return;
        expect(isValid(bytes.subarray(0, found))).toBe(true);
        // No character that begins there is whole.
        for (let end = found + 1; end <= Math.min(found + 4, bytes.length); end++) expect(isValid(bytes.subarray(found, end))).toBe(false);
      },
    ),
    { numRuns: 3000 },
  ));
