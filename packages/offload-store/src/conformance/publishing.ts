/** Publishing beside readers, in their own process or another: a reader has one generation, whole, and whoever opens gets the old or the new one. */
import assert from 'node:assert/strict';
import { createStore, openStore } from '../index.js';
import { type BackendUnderTest, type ConformanceCase, descriptionOf, expectRows, expectStore, fill, numbersFrom, upTo } from './kit.js';
import { startWriter } from './other-process.js';

const GENERATIONS = 6;
/** Times a writer is killed at about the moment it publishes. */
const KILLS = 4;

export function publishingCases({ freshUrl, module, seed = 1 }: BackendUnderTest): ConformanceCase[] {
  const form = { rows: 120, width: 24, blockRows: 16 };
  const inOneProcess: ConformanceCase = {
    name: 'shows readers one generation, whole, while others are published again and again',
    run: async () => {
      const url = freshUrl();
      await fill(url, form, 1);
      const below = numbersFrom(seed);
      let [published, opened] = [1, 0];
      const readOn = async () => {
        while (published < GENERATIONS || opened < 2 * GENERATIONS) {
          await using store = await openStore(url);
          opened += 1;
          for (let read = 0; read < 5; read += 1) {
            const ids = Uint32Array.from({ length: 40 }, () => below(form.rows));
            await expectRows(store, ids);
            await new Promise((resolve) => setTimeout(resolve));
          }
        }
      };
      const publishOn = async () => {
        for (; published < GENERATIONS; published += 1) await fill(url, form, published + 1);
      };
      await Promise.all([publishOn(), readOn(), readOn()]);
      await using last = await openStore(url, { expect: { model: `model ${GENERATIONS}` } });
      await last.verify();
    },
  };
  if (module === undefined) return [inOneProcess];
  return [
    inOneProcess,
    {
      name: 'is the old store or the new one when a writer is killed while it publishes',
      run: async () => {
        const url = freshUrl();
        await fill(url, form, 1);
        const below = numbersFrom(seed);
        for (let generation = 2; generation < 2 + KILLS; generation += 1) {
          const writer = startWriter({
            url,
            module,
            description: descriptionOf(form, generation),
            generation,
            batch: form.rows,
            publishes: true,
          });
          await writer.said('publishing');
          await new Promise((resolve) => setTimeout(resolve, below(25)));
          await writer.kill();
          await using store = await openStore(url);
          const found = Number(store.manifest.binding.model.slice('model '.length));
          assert.ok(found === generation || found === generation - 1, `generation ${found} is there after ${generation} was killed`);
          await expectRows(store, upTo(form.rows));
          await store.verify();
          await fill(url, form, generation);
          await expectRows(store, [form.rows - 1, 0]); // it was opened before that
        }
      },
    },
    {
      name: 'refuses a writer while one of another process is at work, and takes one when that is gone',
      run: async () => {
        const url = freshUrl();
        const writer = startWriter({ url, module, description: descriptionOf(form), generation: 0, batch: form.rows, publishes: false });
        await writer.said('written');
        await assert.rejects(createStore(url, descriptionOf(form)), { code: 'STORE_LOCKED' });
        await writer.kill();
        {
          await using own = await createStore(url, descriptionOf(form));
          assert.equal(own.written, form.rows);
          await own.publish();
        }
        await expectStore(url, upTo(form.rows));
      },
    },
  ];
}
