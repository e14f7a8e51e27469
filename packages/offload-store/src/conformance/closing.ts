/** Ending early: closing while reading, cancelling. */
import assert from 'node:assert/strict';
import { openStore } from '../index.js';
import { type BackendUnderTest, type ConformanceCase, expectRows, fill, rejects, rowsOf, upTo } from './kit.js';

export function closingCases({ freshUrl }: BackendUnderTest): ConformanceCase[] {
  return [
    {
      name: 'answers what it was asked before it was closed, and nothing after',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 500, width: 8 });
        const store = await openStore(url);
        const into = new Float32Array(500 * 8);
        const reading = store.read(upTo(500).reverse(), into);
        const closing = store.close();
        await reading;
        await closing;
        assert.deepEqual(into, rowsOf(upTo(500).reverse(), 8));
        await rejects(() => store.read(Uint32Array.of(0), new Float32Array(8)), { code: 'STORE_CLOSED' });
        await store.close();
      },
    },
    {
      name: 'gives up a read that is cancelled with the reason given, and reads on',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 500, width: 8 });
        await using store = await openStore(url);
        const reason = new Error('enough');
        await rejects(() => store.read(Uint32Array.of(1), new Float32Array(8), { signal: AbortSignal.abort(reason) }), reason);
        const abort = new AbortController();
        const into = new Float32Array(500 * 8);
        const reading = Promise.resolve(store.read(upTo(500), into, { signal: abort.signal })).then(
          () => assert.deepEqual(into, rowsOf(upTo(500), 8)), // it was answered already
          (error) => assert.equal(error, reason),
        );
        abort.abort(reason);
        await reading;
        await expectRows(store, [499, 0]);
      },
    },
    {
      name: 'leaves the buffer alone once a read has ended, whether it was answered or cancelled',
      run: async () => {
        const url = freshUrl();
        await fill(url, { rows: 2000, width: 64 });
        await using store = await openStore(url);
        const bytes = 2000 * store.rowBytes;
        for (let round = 0; round < 5; round += 1) {
          const abort = new AbortController();
          const into = new Uint8Array(bytes); // rows go straight into it, as they are stored
          const reading = Promise.resolve(store.readEncoded(upTo(2000), into, { signal: abort.signal })).catch(() => {});
          setTimeout(() => abort.abort(), round);
          await reading;
          into.fill(255);
          await new Promise((resolve) => setTimeout(resolve, 30));
          assert.ok(
            into.every((byte) => byte === 255),
            `round ${round}: the buffer was written to after the read had ended`,
          );
        }
      },
    },
  ];
}
