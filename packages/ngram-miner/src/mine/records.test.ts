import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { rankRecords } from './rank.js';
import { eachRecord, encodeRecord, type RecordFile, type RecordForm } from './records.js';

const folder = mkdtempSync(path.join(tmpdir(), 'records-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Counted {
  readonly length: number;
  readonly token: number;
  readonly count: number;
}

function fileOf(records: readonly Counted[], form: RecordForm): RecordFile {
  const file = path.join(folder, 'records');
  const bytes = Buffer.concat(records.map((record) => encodeRecord(record, form)));
  writeFileSync(file, bytes);
  return { path: file, bytes: bytes.length, checksum: crc32(bytes) };
}

describe('records', () => {
  it('come back from a file as they went in, counts up to 2^53 too', async () => {
    const record = fc.record({
      length: fc.integer({ min: 1, max: 8 }),
      token: fc.nat(65_535),
      count: fc.oneof(fc.integer({ min: 5, max: 300 }), fc.integer({ min: 5, max: Number.MAX_SAFE_INTEGER })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record), fc.constantFrom<2 | 4>(2, 4), async (records, tokenBytes) => {
        const form = { minCount: 5, tokenBytes };
        const found: Counted[] = [];
        await eachRecord([fileOf(records, form)], form, (length, token, count) => found.push({ length, token, count }));
        expect(found).toEqual(records);
      }),
    );
  });

  it('come back over the edges of what is read at once, and a changed byte is noticed', async () => {
    const form: RecordForm = { minCount: 1, tokenBytes: 4 };
    const records = Array.from({ length: 300_000 }, (_, i) => ({ length: (i % 8) + 1, token: i * 7, count: 1 + i * (i % 3) * 1000 }));
    const file = fileOf(records, form);
    let i = 0;
    let wrong = 0;
    await eachRecord([file], form, (length, token, count) => {
      if (length !== records[i].length || token !== records[i].token || count !== records[i].count) wrong++;
      i++;
    });
    expect([i, wrong]).toEqual([records.length, 0]);
    const damaged = eachRecord([{ ...file, checksum: file.checksum ^ 1 }], form, () => {});
    await expect(damaged).rejects.toMatchObject({ code: 'MINE_PARTIAL' });
    await expect(eachRecord([{ ...file, bytes: file.bytes + 1 }], form, () => {})).rejects.toThrow(/ends at byte/);
  });

  it('are ranked by counts above 2^32, then length, then tokens', async () => {
    const form: RecordForm = { minCount: 5, tokenBytes: 2 };
    const often = 2 ** 33 + 1;
    const records = [
      { length: 1, token: 3, count: often },
      { length: 2, token: 4, count: often },
      { length: 3, token: 1, count: 7 },
      { length: 2, token: 9, count: 7 },
      { length: 1, token: 4, count: often },
      { length: 2, token: 2, count: often + 1 },
    ];
    const ranked = await rankRecords([fileOf(records, form)], form, { maxLength: 3, vocabSize: 10, boundary: 0, maxFgrams: 9 });
    expect([...ranked.counts]).toEqual([often + 1, often, 7, 7]);
    expect([...ranked.tokens]).toEqual([2, 4, 9, 1]);
    expect([...ranked.parents]).toEqual([4, 3, 3, 11]);
  });
});
