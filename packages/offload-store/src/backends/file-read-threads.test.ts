import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ReadThreads } from './file-read-threads.js';

const folder = mkdtempSync(join(tmpdir(), 'read-threads-'));
const content = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) >>> 3);
let file: number;
let threads: ReadThreads;
beforeAll(() => {
  writeFileSync(join(folder, 'bytes'), content);
  file = openSync(join(folder, 'bytes'), 'r');
  threads = new ReadThreads();
});
afterAll(async () => {
  await threads.close();
  closeSync(file);
  rmSync(folder, { recursive: true });
});

const run = fc.record({ position: fc.nat(99_000), bytes: fc.integer({ min: 1, max: 1000 }) });

it('reads what is there, for callers at once too', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(run, { maxLength: 200 }), { maxLength: 4 }), async (jobs) => {
      await Promise.all(
        jobs.map(async (runs) => {
          let size = 0;
          const reads = runs.map(({ position, bytes }) => {
            size += bytes;
            return { file, position, bytes, at: size - bytes };
          });
          const into = new Uint8Array(size);
          await threads.read(reads, into, undefined);
          const expected = runs.map(({ position, bytes }) => content.subarray(position, position + bytes));
          expect(Buffer.compare(into, Buffer.concat(expected))).toBe(0);
        }),
      );
    }),
    { numRuns: 30 },
  );
});

it('names the run that failed, and goes on with the next job', async () => {
  const good = { file, position: 0, bytes: 10, at: 0 };
  const into = new Uint8Array(20);
  await expect(threads.read([good, { ...good, position: 99_995, at: 10 }], into, undefined)).rejects.toMatchObject({
    run: 1,
    cause: undefined,
  });
  await expect(threads.read([good, { ...good, file: 9999, at: 10 }], into, undefined)).rejects.toMatchObject({
    run: 1,
    cause: { code: 'EBADF' },
  });
  const controller = new AbortController();
  const aborted = threads.read(Array(5000).fill(good), into, controller.signal);
  controller.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  await threads.read([good], into, undefined);
  expect(into.subarray(0, 10)).toEqual(content.subarray(0, 10));
});
