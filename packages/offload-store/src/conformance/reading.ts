/** Reading: every id, any order, any number at once, by any number of readers. */
import assert from 'node:assert/strict';
import { copyStore, createStore, openStore, rowDtypes } from '../index.js';
import {
  type BackendUnderTest,
  type ConformanceCase,
  descriptionOf,
  expectRows,
  expectStore,
  fill,
  numbersFrom,
  rejects,
  rowsOf,
  upTo,
} from './kit.js';

export function readingCases({ freshUrl, seed = 1 }: BackendUnderTest): ConformanceCase[] {
  const rows = 23;
  const picks = [[], [0], [22], [22, 0, 22, 7, 7, 8, 9], [...upTo(rows)], Array.from({ length: 500 }, (_, i) => (i * i) % rows)];
  const reads = (['f32', 'f16'] as const).flatMap((dtype) =>
    [1, 3, 64].map((width) => ({
      name: `reads rows of ${width} ${dtype}: none, one, the last, neighbours, all, repeated, in any order`,
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows, width, dtype });
        for (const ids of picks) await expectStore(url, ids);
      },
    })),
  );
  return [
    ...reads,
    {
      name: 'keeps the bytes of every row dtype',
      run: async () => {
        const width = 40;
        for (const dtype of rowDtypes) {
          const [original, url] = [`memory:conformance ${Math.random()}`, freshUrl()];
          await fill(original, { rows, width, dtype, blockRows: 4 });
          await copyStore(original, url);
          await using expected = await openStore(original);
          await using store = await openStore(url);
          const [a, b] = [expected, store].map(({ rowBytes }) => new Uint8Array(rows * rowBytes));
          await expected.readEncoded(upTo(rows), a!);
          await store.readEncoded(upTo(rows), b!);
          assert.deepEqual(b, a, dtype);
          assert.equal(store.manifest.fingerprint, expected.manifest.fingerprint, dtype);
        }
      },
    },
    {
      name: 'agrees with the memory backend on batches at random',
      run: async () => {
        const below = numbersFrom(seed);
        for (let round = 0; round < 20; round += 1) {
          const form = { rows: 1 + below(200), width: 1 + below(20), blockRows: 1 + below(50) };
          const [url, reference] = [freshUrl(), `memory:conformance ${Math.random()}`];
          await fill(url, form);
          await fill(reference, form);
          await using store = await openStore(url);
          await using expected = await openStore(reference);
          for (let batch = 0; batch < 5; batch += 1) {
            const ids = Uint32Array.from({ length: below(100) }, () => below(form.rows));
            const [a, b] = [store, expected].map(() => new Float32Array(ids.length * form.width));
            await store.read(ids, a!);
            await expected.read(ids, b!);
            assert.deepEqual(a, b, `seed ${seed}, round ${round}`);
          }
        }
      },
    },
    {
      name: 'reads 65,536 rows at once',
      run: async () => {
        const url = freshUrl();
        const count = 65_536;
        await fill(url, { rows: count, width: 2 });
        await using store = await openStore(url);
        const below = numbersFrom(seed);
        await expectRows(store, upTo(count));
        await expectRows(
          store,
          Array.from({ length: count }, () => below(count)),
        );
      },
    },
    {
      name: 'serves many reads and many readers at once',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 300, width: 5 });
        await using first = await openStore(url);
        await using second = await openStore(url);
        const below = numbersFrom(seed);
        await Promise.all(
          Array.from({ length: 64 }, (_, i) =>
            expectRows(
              i % 2 === 0 ? first : second,
              Array.from({ length: 1 + below(40) }, () => below(300)),
            ),
          ),
        );
      },
    },
    {
      name: 'holds no rows at all, if there are none',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 0, width: 4 });
        await expectStore(url, []);
      },
    },
    {
      name: 'refuses an id that does not exist, and a buffer that is too short',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 3, width: 2 });
        await using store = await openStore(url);
        for (const ids of [Uint32Array.of(0, 3), Uint32Array.of(0, 2 ** 32 - 1), Int32Array.of(0, -1)])
          await rejects(() => store.read(ids, new Float32Array(4)), { code: 'STORE_ARGUMENT' });
        await rejects(() => store.read(Uint32Array.of(0, 1), new Float32Array(3)), { code: 'STORE_ARGUMENT' });
        await expectRows(store, [2]);
      },
    },
    {
      name: 'keeps no more memory than its rows need while it reads again and again',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 1000, width: 64 });
        await using store = await openStore(url);
        const ids = Uint32Array.from({ length: 256 }, (_, i) => (i * 37) % 1000);
        const into = new Float32Array(ids.length * 64);
        const used = async (times: number) => {
          for (let i = 0; i < times; i += 1) await store.read(ids, into);
          const { heapUsed, external } = process.memoryUsage();
          return heapUsed + external;
        };
        await used(200);
        const before = Math.min(await used(50), await used(50));
        await used(1500);
        const after = Math.min(await used(50), await used(50), await used(50), await used(50));
        assert.ok(after - before < 64 * 2 ** 20, `${after - before} bytes more after 1,500 reads of 64 KiB`);
        assert.deepEqual(into, rowsOf(ids, 64));
      },
    },
    {
      name: 'is made of what it says: rows, width, dtype, creator, licence, binding',
      run: async () => {
        const url = freshUrl();
        const description = { ...descriptionOf({ rows: 2, width: 3 }), creator: 'the kit', licence: 'CC0-1.0' };
        {
          await using writer = await createStore(url, description);
          await writer.write(upTo(2), rowsOf(upTo(2), 3));
          await writer.publish();
        }
        await using store = await openStore(url);
        assert.deepEqual({ ...store.manifest, ...description }, store.manifest);
      },
    },
  ];
}
