/** `@sconelm/ngram-miner/fgrams` over HTTP: in Node, and in headless Chromium, which loads the built packages as they are. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type FgramSet, fetchFgrams, openFgrams, publishFgrams } from '@sconelm/ngram-miner';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBrowser } from '../tools/setup/browser.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-http-'));
const executablePath = findBrowser();
const missing =
  executablePath === undefined ? 'no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its file)' : undefined;

/** What a bundler would do: where the built packages are. */
const IMPORTS = {
  '@sconelm/ngram-miner/fgrams': '/packages/ngram-miner/dist/fgrams/index.js',
  '@sconelm/artifact/portable': '/packages/artifact/dist/portable/index.js',
  zod: '/node_modules/zod/index.js',
};
const PAGE = `<!doctype html><title>f-grams</title><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

const tokens = Array.from({ length: 5000 }, (_, i) => (i * i * 7 + (i >> 3)) % 997);
let server: Server;
let address: string;
let set: FgramSet;
let expected: number[];

beforeAll(async () => {
  // All pairs of the text are f-grams: enough for several blocks' worth of checksums.
  const pairs = [...new Set(tokens.slice(1).map((token, i) => tokens[i] * 1000 + token))];
  await publishFgrams(
    path.join(folder, 'set'),
    {
      size: pairs.length,
      maxLength: 2,
      vocabSize: 997,
      boundary: 0,
      parents: Uint32Array.from(pairs, (pair) => Math.floor(pair / 1000)),
      tokens: Uint16Array.from(pairs, (pair) => pair % 1000),
      counts: new Float64Array(pairs.length).fill(1),
    },
    { minCount: 1 },
  );
  set = await openFgrams(path.join(folder, 'set'));
  const ids = new Int32Array(tokens.length);
  set.match(tokens, { ids });
  expected = [...ids];
  const files: Record<string, Buffer> = {};
  for (const name of ['fgrams.json', 'fgrams.bin']) {
    files[`/set/${name}`] = readFileSync(path.join(folder, 'set', name));
    files[`/damaged/${name}`] = Buffer.from(files[`/set/${name}`]);
  }
  files['/damaged/fgrams.bin'][1234] ^= 4;
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/') return response.setHeader('content-type', 'text/html').end(PAGE);
    if (files[pathname] !== undefined) return response.end(files[pathname]);
    if (!/^\/(packages|node_modules\/zod)\//.test(pathname)) return response.writeHead(404).end();
    readFile(path.join('.', path.normalize(pathname))).then(
      (data) => response.setHeader('content-type', 'text/javascript').end(data),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server?.close();
  rmSync(folder, { recursive: true });
});

describe('an f-gram set over HTTP', () => {
  it('is the set on disk; what is damaged, missing or aborted is an error with a code', async () => {
    for (const url of [`${address}/set`, `${address}/set/`, `${address}/set/fgrams.json`]) {
      const ids = new Int32Array(tokens.length);
      (await fetchFgrams(url)).match(tokens, { ids });
      expect([...ids]).toEqual(expected);
    }
    await expect(fetchFgrams(`${address}/damaged`)).rejects.toMatchObject({
      code: 'FGRAMS_CORRUPT',
      message: expect.stringContaining('/damaged/fgrams.bin'),
    });
    await expect(fetchFgrams(`${address}/none`)).rejects.toMatchObject({ code: 'FGRAMS_FETCH', message: expect.stringContaining('404') });
    await expect(fetchFgrams('http://127.0.0.1:1/set')).rejects.toMatchObject({ code: 'FGRAMS_FETCH' });
    await expect(fetchFgrams(`${address}/set`, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
  });

  it.skipIf(missing !== undefined)(`matches the same in Chromium${missing === undefined ? '' : `: ${missing}`}`, async () => {
    const browser = await chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      await page.goto(`${address}/`);
      // As text: the test runner would rewrite the imports of a function.
      const found = await page.evaluate<{ hash: string; ids: number[]; steps: number[]; last: number[]; error: string }>(`(async () => {
        const { fetchFgrams } = await import('@sconelm/ngram-miner/fgrams');
        const tokens = ${JSON.stringify(tokens)};
        const set = await fetchFgrams('/set');
        const ids = new Int32Array(tokens.length);
        set.match(tokens, { ids });
        const matcher = set.matcher();
        const error = await fetchFgrams('/damaged').catch((error) => error.code);
        return { hash: set.hash, ids: [...ids], steps: tokens.map((token) => matcher.push(token)), last: [...set.tokensOf(set.size - 1)], error };
      })()`);
      expect(found).toEqual({
        hash: set.hash,
        ids: expected,
        steps: expected,
        last: [...set.tokensOf(set.size - 1)],
        error: 'FGRAMS_CORRUPT',
      });
    } finally {
      await browser.close();
    }
  });
});
