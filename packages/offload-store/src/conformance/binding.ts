/** What a store was made from: asked for, compared, refused. */
import assert from 'node:assert/strict';
import { openStore } from '../index.js';
import { type BackendUnderTest, type ConformanceCase, expectStore, fill } from './kit.js';

export function bindingCases({ freshUrl }: BackendUnderTest): ConformanceCase[] {
  return [
    {
      name: 'refuses a store that is missing or of another model',
      run: async () => {
        const url = freshUrl();
        await assert.rejects(openStore(url), { code: 'STORE_MISSING' });
        await fill(url, { rows: 3, width: 2 });
        await assert.rejects(openStore(url, { expect: { model: 'other' } }), { code: 'STORE_MISMATCH' });
        await expectStore(url, [2]);
      },
    },
  ];
}
