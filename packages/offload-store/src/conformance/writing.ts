/** Writing: invisible until published, one writer per row, going on where one ended, replacing at once. */
import assert from 'node:assert/strict';
import { createStore, deleteStore, openStore } from '../index.js';
import { type BackendUnderTest, type ConformanceCase, descriptionOf, expectRows, expectStore, fill, rowsOf, upTo } from './kit.js';

export function writingCases({ freshUrl, parallelWriters = true }: BackendUnderTest): ConformanceCase[] {
  const form = { rows: 4, width: 2 };
  const description = descriptionOf(form);
  const ranges: ConformanceCase[] = [
    {
      name: 'is filled by several writers of ranges that do not overlap, and published by one of all rows',
      run: async () => {
        const url = freshUrl();
        const whole = descriptionOf({ rows: 30, width: 2 });
        const part = async (from: number, to: number) => {
          await using writer = await createStore(url, whole, { range: { from, to } });
          const ids = upTo(30).subarray(from, to);
          await writer.write(ids, rowsOf(ids, 2));
          await assert.rejects(createStore(url, whole, { range: { from, to: to + 1 > 30 ? to : to + 1 } }), { code: 'STORE_LOCKED' });
          await assert.rejects(writer.publish(), { code: 'STORE_ARGUMENT' });
        };
        await Promise.all([part(20, 30), part(0, 7), part(7, 20)]);
        await using writer = await createStore(url, whole);
        assert.equal(writer.written, 30);
        await writer.publish();
        await expectStore(url, upTo(30));
      },
    },
  ];
  return [
    {
      name: 'shows nothing before it is published, and goes on where a writer ended',
      run: async () => {
        const url = freshUrl();
        const first = await createStore(url, description);
        await first.write(new Uint32Array([3, 0]), rowsOf([3, 0], 2));
        await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        await assert.rejects(first.publish(), { code: 'STORE_INCOMPLETE' });
        await assert.rejects(createStore(url, description), { code: 'STORE_LOCKED' });
        await first.close();
        await assert.rejects(createStore(url, { ...description, width: 3 }), { code: 'STORE_MISMATCH' });
        await using second = await createStore(url, description);
        assert.deepEqual(
          [0, 1, 2, 3].map((id) => second.has(id)),
          [true, false, false, true],
        );
        await second.write(new Uint32Array([1, 2]), rowsOf([1, 2], 2));
        await second.publish();
        await expectStore(url, [0, 1, 2, 3]);
      },
    },
    {
      name: 'starts over when told to, and replaces rows that are written again',
      run: async () => {
        const url = freshUrl();
        {
          await using writer = await createStore(url, description);
          await writer.write(upTo(4), rowsOf([9, 9, 9, 9], 2));
        }
        {
          await using writer = await createStore(url, description, { restart: true });
          assert.equal(writer.written, 0);
          await writer.write(upTo(4), rowsOf([8, 8, 8, 8], 2));
          await writer.write(new Uint32Array([2, 0, 1, 3, 0]), rowsOf([2, 7, 1, 3, 0], 2));
          await writer.publish();
        }
        await expectStore(url, upTo(4));
      },
    },
    ...(parallelWriters ? ranges : []),
    {
      name: 'keeps no more memory than its rows need while it writes again and again',
      run: async () => {
        const form = { rows: 2000, width: 256 }; // 2 MiB
        await using writer = await createStore(freshUrl(), descriptionOf(form));
        const rows = rowsOf(upTo(form.rows), form.width);
        const used = async (times: number) => {
          for (let i = 0; i < times; i += 1) await writer.write(upTo(form.rows), rows);
          const { heapUsed, external } = process.memoryUsage();
          return heapUsed + external;
        };
        const before = await used(5);
        const after = Math.min(await used(40), await used(3), await used(3));
        assert.ok(after - before < 64 * 2 ** 20, `${after - before} bytes more after writing 80 MiB`);
      },
    },
    {
      name: 'replaces a published store at once, with readers of the old one undisturbed',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 5, width: 2 });
        await using old = await openStore(url);
        await expectRows(old, [4]);
        {
          await using writer = await createStore(url, descriptionOf({ rows: 9, width: 2 }));
          await writer.write(upTo(9), rowsOf(upTo(9), 2));
          await expectRows(old, [4, 0]);
          await expectStore(url, upTo(5));
          await writer.publish();
        }
        await expectStore(url, [8, 4]);
        await expectRows(old, [4]);
        assert.equal(old.rows, 5);
      },
    },
    {
      name: 'is gone when it is deleted, unfinished rows too, and may be made again',
      run: async () => {
        const url = freshUrl();
        await deleteStore(url);
        await fill(url, form);
        await (await createStore(url, description)).close();
        await deleteStore(url);
        await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        await fill(url, { rows: 6, width: 3 });
        await expectStore(url, upTo(6));
      },
    },
  ];
}
