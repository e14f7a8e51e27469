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
  ];
}
