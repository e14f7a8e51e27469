/** What stands between a medium and the caller: recovered rows, the cache, tiers, filling, metrics. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defineBackend } from './backend.js';
import { numbersFrom } from './conformance/kit.js';
import {
  CorruptStoreError,
  createStore,
  formatPrometheus,
  latencyQuantile,
  openFillingStore,
  openStore,
  registerBackend,
  StoreError,
} from './index.js';

const binding = { fgrams: 'set', model: 'model' };
const [rows, width] = [40, 3];
const description = { rows, width, dtype: 'f32' as const, binding };
const rowOf = (id: number) => Array.from({ length: width }, (_, column) => id * 10 + column);
const rowsOf = (ids: readonly number[]) => ids.flatMap(rowOf);
let next = 0;
const freshUrl = () => `memory:layers ${next++}`;

async function fill(url: string, count = rows): Promise<string> {
  await using writer = await createStore(url, { ...description, rows: count });
  const ids = Array.from({ length: count }, (_, id) => id);
  await writer.write(Uint32Array.from(ids), Float32Array.from(rowsOf(ids)));
  await writer.publish();
  return url;
}

/** A store in memory whose rows fail as told: damaged ones alone, all of them when it is down. */
const broken = { damaged: new Set<number>(), down: false, reads: 0 };
registerBackend(
  defineBackend({
    scheme: 'broken',
    async openReader(location, open) {
      const reader = await open(location);
      return {
        ...reader,
        manifest: reader.manifest,
        readRows(ids, into, signal) {
          broken.reads += 1;
          if (broken.down) return Promise.reject(new StoreError('STORE_IO', 'the store does not answer', 'Wait.'));
          for (const id of ids) if (broken.damaged.has(id)) throw new CorruptStoreError(`row ${id} is damaged`);
          return reader.readRows(ids, into, signal);
        },
        readChecksums: (first, into, signal) => reader.readChecksums(first, into, signal),
        close: () => reader.close(),
      };
    },
  }),
);

async function read(store: Awaited<ReturnType<typeof openStore>>, ids: readonly number[], lost?: Uint8Array): Promise<number[]> {
  const into = new Float32Array(ids.length * width);
  await store.read(Uint32Array.from(ids), into, lost === undefined ? {} : { lost });
  return [...into];
}

const damages = fc.uniqueArray(fc.nat(rows - 1), { maxLength: 8 });
const picks = fc.array(fc.nat(rows - 1), { maxLength: 30 });

describe('damaged rows', () => {
  it('are an error unless told otherwise', async () => {
    await using store = await openStore(`broken:${await fill(freshUrl())}`);
    broken.damaged = new Set([7]);
    await expect(read(store, [6, 7])).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    expect(await read(store, [6])).toEqual(rowOf(6));
  });

  it('with fallback are zeros, and only they are told', async () => {
    const url = `broken:${await fill(freshUrl())}`;
    await fc.assert(
      fc.asyncProperty(damages, picks, async (damaged, ids) => {
        await using store = await openStore(url, { check: 'never', damaged: 'fallback' });
        broken.damaged = new Set(damaged);
        const lost = new Uint8Array(ids.length).fill(9);
        const found = await read(store, ids, lost);
        expect([...lost]).toEqual(ids.map((id) => Number(broken.damaged.has(id))));
        expect(found).toEqual(ids.flatMap((id) => (broken.damaged.has(id) ? [0, 0, 0] : rowOf(id))));
        expect(store.metrics.fallbacks).toBe(ids.filter((id) => broken.damaged.has(id)).length);
        broken.damaged = new Set();
        expect(await read(store, ids, lost)).toEqual(rowsOf(ids));
        expect([...lost]).toEqual(ids.map(() => 0));
      }),
    );
  });

  it('with fallback need a place to be told', async () => {
    await using store = await openStore(`broken:${await fill(freshUrl())}`, { damaged: 'fallback' });
    await expect(read(store, [1])).rejects.toMatchObject({
      code: 'STORE_ARGUMENT',
      message: expect.stringContaining('lost has no elements'),
    });
  });

  it('with a function are computed again, each once a read', async () => {
    const url = `broken:${await fill(freshUrl())}`;
    await fc.assert(
      fc.asyncProperty(damages, picks, async (damaged, ids) => {
        const computed: number[] = [];
        await using store = await openStore(url, {
          check: 'never',
          damaged: async (wanted, into) => {
            computed.push(...wanted);
            into.set(rowsOf([...wanted]));
          },
        });
        broken.damaged = new Set(damaged);
        expect(await read(store, ids)).toEqual(rowsOf(ids));
        expect(computed.sort((a, b) => a - b)).toEqual([...new Set(ids)].filter((id) => broken.damaged.has(id)).sort((a, b) => a - b));
        expect(store.metrics.recomputed).toBe(computed.length);
      }),
    );
  });

  it('a store that does not answer is asked once, not row by row', async () => {
    await using store = await openStore(`broken:${await fill(freshUrl())}`, { damaged: 'fallback' });
    broken.damaged = new Set();
    broken.down = true;
    broken.reads = 0;
    const lost = new Uint8Array(3);
    expect(await read(store, [1, 2, 3], lost)).toEqual(new Array(9).fill(0));
    broken.down = false;
    expect([[...lost], broken.reads]).toEqual([[1, 1, 1], 1]);
  });

  it('a row that is computed as no number is refused by its id', async () => {
    await using store = await openStore(`broken:${await fill(freshUrl())}`, {
      damaged: async (_, into) => {
        into.fill(Number.NaN);
      },
    });
    broken.damaged = new Set([4]);
    await expect(read(store, [4])).rejects.toThrow(/row 4 was computed with NaN at element 0/);
  });
});

/** A store in memory that fails now and then, in time or late, as the numbers say. */
const flaky = { draw: (_limit: number): number => 1, reads: 0 };
registerBackend(
  defineBackend({
    scheme: 'flaky',
    async openReader(location, open) {
      const reader = await open(location);
      return {
        manifest: reader.manifest,
        readRows(ids, into, signal) {
          flaky.reads += 1;
          const fault = flaky.draw(4);
          const work = () => {
            if (fault === 0) throw new StoreError('STORE_IO', 'no answer', 'Wait.');
            return reader.readRows(ids, into, signal);
          };
          return flaky.draw(2) === 0 ? work() : Promise.resolve().then(work);
        },
        readChecksums: (first, into, signal) => reader.readChecksums(first, into, signal),
        close: () => reader.close(),
      };
    },
  }),
);

it('a row that is not told as lost is right, whatever fails meanwhile, whatever is kept in memory', async () => {
  const url = `flaky:${await fill(freshUrl())}`;
  const setting = fc.record({ cacheRows: fc.nat(30), hotRows: fc.nat(10), check: fc.constantFrom('never', 'first-touch', 'always') });
  await fc.assert(
    fc.asyncProperty(setting, fc.array(fc.array(picks, { maxLength: 4 }), { maxLength: 5 }), fc.nat(), async (options, rounds, seed) => {
      flaky.draw = numbersFrom(seed);
      await using store = await openStore(url, { ...options, damaged: 'fallback', cacheBytes: 100 });
      for (const batches of rounds) {
        await Promise.all(
          batches.map(async (ids) => {
            const lost = new Uint8Array(ids.length).fill(9);
            const found = await read(store, ids, lost);
            expect(found).toEqual(ids.flatMap((id, i) => (lost[i] === 1 ? [0, 0, 0] : rowOf(id))));
          }),
        );
      }
    }),
  );
});

it('a damaged block is read once, and not looked for row by row', async () => {
  const url = freshUrl();
  {
    await using writer = await createStore(url, { ...description, blockRows: 4 });
    const ids = Array.from({ length: rows }, (_, id) => id);
    await writer.write(Uint32Array.from(ids), Float32Array.from(rowsOf(ids)));
    await writer.publish();
  }
  const damaged = new Set([5, 6, 21]);
  const calls: number[][] = [];
  registerBackend(
    defineBackend({
      scheme: 'rotten',
      async openReader(location, open) {
        const reader = await open(location);
        return {
          manifest: reader.manifest,
          async readRows(ids, into, signal) {
            calls.push([...ids]);
            await reader.readRows(ids, into, signal);
            ids.forEach((id, i) => {
              if (damaged.has(id)) into[i * width * 4] ^= 1;
            });
          },
          readChecksums: (first, into, signal) => reader.readChecksums(first, into, signal),
          close: () => reader.close(),
        };
      },
    }),
  );
  const all = Array.from({ length: rows }, (_, id) => id);
  const isLost = (id: number) => [1, 5].includes(id >> 2);
  for (const [check, most] of [
    ['first-touch', 2],
    ['always', 2],
  ] as const) {
    await using store = await openStore(`rotten:${url}`, { check, damaged: 'fallback' });
    for (let round = 0; round < 2; round += 1) {
      calls.length = 0;
      const lost = new Uint8Array(rows);
      expect(await read(store, all, lost)).toEqual(all.flatMap((id) => (isLost(id) ? [0, 0, 0] : rowOf(id))));
      expect([...lost]).toEqual(all.map((id) => Number(isLost(id))));
      expect(calls.length, `${check}, round ${round}`).toBeLessThanOrEqual(most);
    }
    expect(store.metrics.fallbacks).toBe(16);
    expect(store.metrics.verifiedRows).toBe(all.filter((id) => !isLost(id)).length);
  }
});

it('a cache of any size changes no answer, and is asked first', async () => {
  const url = await fill(freshUrl());
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 50 }), fc.nat(5), fc.array(picks, { maxLength: 8 }), async (cacheRows, hotRows, batches) => {
      await using store = await openStore(url, { cacheRows, hotRows });
      await store.warmed;
      for (const ids of batches) expect(await read(store, ids)).toEqual(rowsOf(ids));
      expect(store.metrics.verifiedRows).toBe(0);
      for (const ids of batches.slice(-1)) {
        const tiers = ids.map((id) => store.tierOf(id));
        if (cacheRows >= rows) expect(tiers).toEqual(ids.map((id) => (id < hotRows ? 'memory' : 'cache')));
        const before = store.metrics.cacheHits;
        expect(await read(store, ids)).toEqual(rowsOf(ids));
        const distinct = new Set(ids.filter((id) => id >= hotRows)).size;
        if (cacheRows >= rows) expect(store.metrics.cacheHits - before).toBe(distinct);
      }
    }),
  );
});

describe('tiered:', () => {
  it('gives the rows of both, the first ones from the first', async () => {
    const cold = await fill(freshUrl());
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: rows }), picks, async (count, ids) => {
        await using store = await openStore(`tiered:${await fill(freshUrl(), count)},${cold}`, { expect: binding });
        expect(await read(store, ids)).toEqual(rowsOf(ids));
        const distinct = [...new Set(ids)];
        expect(store.metrics.backend).toMatchObject({
          hotRowsRead: distinct.filter((id) => id < count).length,
          coldBytes: distinct.filter((id) => id >= count).length * width * 4,
        });
        await store.verify();
        expect(store.metrics.verifiedRows).toBe(rows);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses stores of other rows', async () => {
    const url = freshUrl();
    await using writer = await createStore(url, { ...description, rows: 1, binding: { fgrams: 'set', model: 'another' } });
    await writer.write(Uint32Array.of(0), Float32Array.from(rowOf(0)));
    await writer.publish();
    const cold = await fill(freshUrl());
    await expect(openStore(`tiered:${url},${cold}`)).rejects.toMatchObject({ code: 'STORE_MISMATCH' });
    await expect(openStore(`tiered:${cold}`)).rejects.toMatchObject({ code: 'STORE_ARGUMENT' });
  });
});

describe('a store that fills itself', () => {
  it('computes each row once, over several openings, and is published when it is full', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(picks, { maxLength: 4 }), { maxLength: 3 }), async (openings) => {
        const url = freshUrl();
        const computed: number[] = [];
        const open = () =>
          openFillingStore(url, description, async (ids, into) => {
            computed.push(...ids);
            into.set(rowsOf([...ids]));
          });
        for (const batches of [...openings, [Array.from({ length: rows }, (_, id) => id)]]) {
          await using store = await open();
          await Promise.all(batches.map(async (ids) => expect(await read(store, ids)).toEqual(rowsOf(ids))));
        }
        expect(computed.sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, id) => id));
        await using writer = await createStore(url, description);
        await writer.publish();
        await using published = await openStore(url, { expect: binding });
        await published.verify();
      }),
      { numRuns: 30 },
    );
  });

  it('tells a failure of the model to whoever asked, and goes on', async () => {
    let fails = true;
    await using store = await openFillingStore(freshUrl(), description, async (ids, into) => {
      if (fails) throw new Error('the model is busy');
      into.set(rowsOf([...ids]));
    });
    await expect(read(store, [3])).rejects.toThrow('the model is busy');
    fails = false;
    expect(await read(store, [3, 4])).toEqual(rowsOf([3, 4]));
  });
});

it('metrics are told as Prometheus reads them', async () => {
  await using store = await openStore(await fill(freshUrl()), { hotRows: 2 });
  await store.warmed;
  await read(store, [0, 1, 5, 5]);
  expect(latencyQuantile(store.metrics.latency, 0.99)).toBeGreaterThan(0);
  const text = formatPrometheus(store.metrics, { store: 'a "b"\n' });
  expect(text).toContain('scone_store_rows_total{store="a \\"b\\"\\n"} 4\n');
  expect(text).toContain('scone_store_hot_hits_total{store="a \\"b\\"\\n"} 2\n');
  expect(text).toMatch(/scone_store_read_seconds_bucket\{store="a \\"b\\"\\n",le="\+Inf"\} 1\n/);
  for (const line of text.trim().split('\n')) expect(line).toMatch(/^(# TYPE \w+ \w+|\w+(\{.*\})? [\d.e+-]+)$/);
});
