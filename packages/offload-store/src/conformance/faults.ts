/** Faults: damaged rows, and writers that are killed. */
import assert from 'node:assert/strict';
import { createStore, openStore } from '../index.js';
import {
  type BackendUnderTest,
  binding,
  type ConformanceCase,
  descriptionOf,
  expectRows,
  expectStore,
  fill,
  rejects,
  rowsOf,
  upTo,
} from './kit.js';
import { startWriter } from './other-process.js';

export function faultCases(backend: BackendUnderTest): ConformanceCase[] {
  const { damageRow, module } = backend;
  return [
    ...(damageRow === undefined ? [] : damageCases(backend, (url, id) => damageRow.call(backend, url, id))),
    ...(module === undefined ? [] : killCases(backend, module)),
  ];
}

function damageCases({ freshUrl }: BackendUnderTest, damageRow: (url: string, id: number) => void | Promise<void>): ConformanceCase[] {
  const form = { rows: 40, width: 6, blockRows: 8 };
  return [
    {
      name: 'finds a damaged row by verify, and never gives it out where blocks are checked',
      run: async () => {
        const url = freshUrl();
        await fill(url, form);
        await damageRow(url, 19);
        for (const check of ['first-touch', 'always'] as const) {
          await using store = await openStore(url, { expect: binding, check });
          await rejects(() => store.verify(), { code: 'STORE_CORRUPT' });
          await rejects(() => store.read(Uint32Array.of(19), new Float32Array(6)), { code: 'STORE_CORRUPT' });
          await expectRows(store, [0, 15, 24, 39]);
        }
      },
    },
    {
      name: 'tells which rows are lost, or has them computed again',
      run: async () => {
        const url = freshUrl();
        await fill(url, { ...form, blockRows: 1 });
        await damageRow(url, 19);
        const ids = Uint32Array.of(3, 19, 20);
        const into = new Float32Array(3 * 6);
        {
          await using store = await openStore(url, { check: 'always', damaged: 'fallback' });
          const lost = new Uint8Array(3);
          await store.read(ids, into, { lost });
          assert.deepEqual([...lost], [0, 1, 0]);
          assert.deepEqual(into.subarray(12), rowsOf([20], 6));
        }
        await using store = await openStore(url, {
          check: 'always',
          damaged: async (missing, rows) => {
            rows.set(rowsOf(missing, 6));
          },
        });
        await expectRows(store, ids);
        assert.equal(store.metrics.recomputed, 1);
      },
    },
  ];
}

/** Times a writer is killed, each time a little later. */
const KILLS = 5;

function killCases({ freshUrl }: BackendUnderTest, module: string | URL): ConformanceCase[] {
  const form = { rows: 400, width: 16 };
  return [
    {
      name: 'goes on where a killed writer ended, with nothing that it was told was written lost',
      run: async () => {
        const url = freshUrl();
        let told = 0;
        for (let kill = 0; kill < KILLS; kill += 1) {
          const enough = told + 8 * (kill + 1);
          const writer = startWriter({ url, module, description: descriptionOf(form), generation: 0, batch: 1, publishes: false });
          told = Number(await writer.said((line) => Number(line) >= enough));
          await writer.kill();
          await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        }
        await using writer = await createStore(url, descriptionOf(form));
        assert.ok(writer.written >= told, `${told} rows were written, ${writer.written} are there`);
        for (let id = writer.nextMissing(); id >= 0; id = writer.nextMissing(id))
          await writer.write(Uint32Array.of(id), rowsOf([id], form.width));
        await writer.publish();
        await expectStore(url, upTo(form.rows));
      },
    },
  ];
}
