/** Tokens by position are those of a corpus in memory, checked, in memory that does not grow with the corpus. */
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { TokenCorpus } from './corpus.js';
import { loadTokens } from './read-tokens.js';
import { TokenReader } from './token-reader.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-reader-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BLOCK = 64;

/** Shards of these many tokens. */
function corpusOf(dtype: 'u16' | 'u32', sizes: readonly number[]): TokenCorpus {
  const shards = sizes.map((tokens, i) => {
    const path = join(folder, `${dtype}-${sizes.join('-')}-${i}.bin`);
    const values = Array.from({ length: tokens }, (_, t) => (i * 1000 + t * 7) % 5000);
    const bytes = Buffer.from((dtype === 'u16' ? Uint16Array.from(values) : Uint32Array.from(values)).buffer);
    writeFileSync(path, bytes);
    const blocks = Array.from({ length: Math.ceil(bytes.length / BLOCK) }, (_, b) => crc32(bytes.subarray(b * BLOCK, (b + 1) * BLOCK)));
    return { path, tokens, blocks };
  });
  return { shards, dtype, blockBytes: BLOCK, vocabSize: 5000, boundary: 0 };
}

describe('a token reader', () => {
  it.each(['u16', 'u32'] as const)('reads %s tokens over blocks and shards as they are', async (dtype) => {
    const corpus = corpusOf(dtype, [100, 1, 0, 333]);
    const all = await loadTokens(corpus);
    using reader = new TokenReader(corpus);
    expect(reader.length).toBe(434);
    fc.assert(
      fc.property(fc.nat(434), fc.nat(434), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const into = new Int32Array(to - from);
        reader.read(from, into);
        expect([...into]).toEqual([...all.subarray(from, to)]);
      }),
    );
    expect(() => reader.read(430, new Int32Array(5))).toThrow(RangeError);
  });

  it('names the block that is damaged, and the file that is not there', () => {
    const corpus = corpusOf('u16', [200]);
    const [{ path, tokens, blocks }] = corpus.shards;
    const wrong = { ...corpus, shards: [{ path, tokens, blocks: blocks?.map((sum, i) => (i === 2 ? 0 : sum)) ?? [] }] };
    using reader = new TokenReader(wrong);
    reader.read(0, new Int32Array(64));
    expect(() => reader.read(64, new Int32Array(1))).toThrow(/block 2 .*another checksum/);
    using short = new TokenReader({ ...corpus, shards: [{ path, tokens: 300 }] });
    expect(() => short.read(250, new Int32Array(1))).toThrow(/ends after/);
    expect(() => new TokenReader({ ...corpus, shards: [{ path: join(folder, 'none'), tokens: 1 }] })).toThrow(/none/);
  });

  it('reads from anywhere in two gigabytes with a few megabytes of memory', () => {
    const path = join(folder, 'sparse.bin');
    closeSync(openSync(path, 'w'));
    const bytes = 2 ** 31;
    truncateSync(path, bytes);
    using reader = new TokenReader({ ...corpusOf('u16', []), blockBytes: 2 ** 20, shards: [{ path, tokens: bytes / 2 }] });
    const into = new Int32Array(1024);
    reader.read(0, into);
    const before = process.memoryUsage().rss;
    for (let i = 1; i < 500; i++) reader.read((i * 7_368_787) % (bytes / 2 - 1024), into);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 25);
  });
});
