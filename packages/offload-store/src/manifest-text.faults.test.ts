/** Manifests as text, as any backend keeps them: hostile ones are refused or understood, and what is understood is written again as it was. */
import { formatManifest } from '@sconelm/artifact';
import { expect, test } from 'vitest';
import { forHostileJson, objectIn, times } from '../../../tools/faults/index.mjs';
import { expectDescription, formatDescription, formatStoreManifest, parseStoreManifest } from './index.js';

const description = {
  rows: 100_000,
  width: 64,
  dtype: 'f16' as const,
  binding: { fgrams: 'set', model: 'model', corpus: 'text' },
  creator: 'a test',
  licence: 'CC0-1.0',
  blockRows: 1024,
  shardRows: 50_000,
};
const manifest = { ...description, rowBytes: 128, checksums: [4_294_967_295, 0], fingerprint: 'abc' };
const headOf = (text: string) => {
  const { kind, version } = JSON.parse(text);
  return { kind, version };
};
const runs = times(20_000, 2_000_000);

test('hostile manifests', async () => {
  const head = headOf(formatStoreManifest('store', manifest));
  const seen = await forHostileJson(
    manifest,
    async (text) => {
      const fields = objectIn(text);
      const sealed = fields === undefined ? text : formatManifest('store', { ...fields, ...head });
      expect(parseStoreManifest('store', formatStoreManifest('store', parseStoreManifest('store', sealed)))).toBeDefined();
    },
    { runs },
  );
  expect(seen.refused).toBeGreaterThan(seen.tried / 2);
  expect(seen.refused).toBeLessThan(seen.tried);
});

test('hostile descriptions of unfinished stores', async () => {
  const head = headOf(formatDescription('store', description));
  const seen = await forHostileJson(
    description,
    async (text) => {
      const fields = objectIn(text);
      expectDescription('store', fields === undefined ? text : formatManifest('store', { ...fields, ...head }), description);
    },
    { runs: runs / 4 },
  );
  expect(seen.refused).toBeGreaterThan(seen.tried / 2);
});
