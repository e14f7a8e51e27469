/**
 * `@sconelm/offload-store` in headless Chromium: a store behind a static server of another origin, read by ranges; the tab loads the built package
 * as it is.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createStore, openStore } from '@sconelm/offload-store';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findBrowser } from '../tools/setup/browser.mjs';

const executablePath = findBrowser();
const missing =
  executablePath === undefined ? 'no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its file)' : undefined;

/** What a bundler would do: where the built packages are. */
const IMPORTS = {
  '@sconelm/offload-store': '/packages/offload-store/dist/index.js',
  '#builtin-backends': '/packages/offload-store/dist/builtin-backends.browser.js',
  '@sconelm/artifact/portable': '/packages/artifact/dist/portable/index.js',
  zod: '/node_modules/zod/index.js',
};
const PAGE = `<!doctype html><title>rows</title><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

const [rows, width] = [1000, 16];
const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-tab-'));
const files: Record<string, Buffer> = {};
/** Requests for the store since the test began. */
let seen: { readonly method: string; readonly url: string; readonly headers: readonly string[] }[] = [];
let servers: Server[] = [];
let browser: Browser;
let page: Page;
let stores: string;
let fingerprint: string;

async function listen(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A page, and the packages' files as they were built. */
function servePage({ url = '/' }: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(url, 'http://localhost');
  if (pathname === '/') return void response.setHeader('content-type', 'text/html').end(PAGE);
  if (!/^\/(packages|node_modules\/zod)\//.test(pathname)) return void response.writeHead(404).end();
  readFile(path.join('.', path.normalize(pathname))).then(
    (data) => response.setHeader('content-type', 'text/javascript').end(data),
    () => response.writeHead(404).end(),
  );
}

/** Files as any static server gives them, to pages of every origin. Below /whole/ it knows no ranges. */
function serveStores({ method = '', url = '', headers }: IncomingMessage, response: ServerResponse): void {
  seen.push({ method, url, headers: Object.keys(headers) });
  const body = files[url.replace(/^\/whole\//, '/store/')];
  response.setHeader('access-control-allow-origin', '*');
  if (method !== 'GET' || body === undefined) return void response.writeHead(method === 'GET' ? 404 : 405).end();
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  if (from === undefined || url.startsWith('/whole/')) return void response.end(body);
  if (Number(from) >= body.length) return void response.writeHead(416).end();
  const part = body.subarray(Number(from), Number(to) + 1);
  response.writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${body.length}` }).end(part);
}

beforeAll(async () => {
  if (missing !== undefined) return;
  const url = `file:${path.join(folder, 'store')}`;
  const form = { rows, width, dtype: 'f16' as const, blockRows: 16, shardRows: 400 };
  await using writer = await createStore(url, { ...form, binding: { fgrams: 'set', model: 'model' } });
  const ids = Uint32Array.from({ length: rows }, (_, id) => id);
  await writer.write(
    ids,
    Float32Array.from({ length: rows * width }, (_, i) => (i * 7) % 2000),
  );
  await writer.publish();
  await using store = await openStore(url);
  fingerprint = store.manifest.fingerprint;
  for (const name of ['manifest.json', 'checksums.bin', 'rows-00000.bin', 'rows-00001.bin', 'rows-00002.bin']) {
    const file = readFileSync(path.join(folder, 'store', name));
    for (const copy of ['store', 'damaged', 'cut', 'liar']) files[`/${copy}/${name}`] = Buffer.from(file);
  }
  files['/damaged/rows-00001.bin'][20 * 2 * width] ^= 4; // row 420: its block has rows 416 to 431
  files['/cut/rows-00002.bin'] = files['/cut/rows-00002.bin'].subarray(0, 3000);
  files['/liar/manifest.json'] = Buffer.from(String(files['/liar/manifest.json']).replace('"model": "model"', '"model": "other"'));
  stores = await listen(serveStores);
  const address = await listen(servePage);
  browser = await chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox'] });
  page = await browser.newPage();
  await page.goto(`${address}/`);
});
afterAll(async () => {
  await browser?.close();
  for (const server of servers) server.close();
  servers = [];
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  seen = [];
});

const rowOf = (id: number) => Array.from({ length: width }, (_, column) => ((id * width + column) * 7) % 2000);

/** Runs code in the tab, given as text because the test runner would rewrite the imports of a function. `read` reads rows and gives [values, lost]. */
const inTab = <T>(code: string): Promise<T> =>
  page.evaluate<T>(`(async () => {
    const { copyStore, createStore, openStore } = await import('@sconelm/offload-store');
    const url = (name) => '${stores}/' + name;
    const read = async (store, ids, options = {}) => {
      const into = new Float32Array(ids.length * store.width);
      await store.read(Uint32Array.from(ids), into, options);
      return [...into];
    };
    const codeOf = (work) => Promise.resolve().then(work).then(() => 'fine', (error) => error.code + ': ' + error.message);
    ${code}
  })()`);

describe.skipIf(missing !== undefined)(`a store behind a static server, in Chromium${missing === undefined ? '' : `: ${missing}`}`, () => {
  it('is read by plain ranges, each block once, and every checksum is right', async () => {
    const ids = [0, 999, 399, 400, 7, 7, 801, 15, 16];
    const found = await inTab<{ rows: number[]; again: number[]; requests: number[]; fingerprint: string }>(`
      const store = await openStore(url('store'), { expect: { model: 'model' } });
      const rows = await read(store, ${JSON.stringify(ids)});
      const first = store.metrics.backend.requests;
      const again = await read(store, [3, 998]);
      const second = store.metrics.backend.requests;
      await store.verify();
      await store.close();
      return { rows, again, requests: [first, second], fingerprint: store.manifest.fingerprint };`);
    expect(found.rows).toEqual(ids.flatMap(rowOf));
    expect(found.again).toEqual([3, 998].flatMap(rowOf));
    expect(found.requests[1]).toBe(found.requests[0]); // the blocks of rows 3 and 998 had come
    expect(found.requests[0]).toBeLessThanOrEqual(7);
    expect(found.fingerprint).toBe(fingerprint);
    expect(seen.filter(({ method }) => method !== 'GET')).toEqual([]); // no preflight
    const usual =
      /^(host|connection|origin|referer|range|accept|accept-encoding|accept-language|user-agent|sec-.*|cache-control|pragma|if-range)$/;
    expect(seen.flatMap(({ headers }) => headers).filter((name) => !usual.test(name))).toEqual([]);
    for (const { url, headers } of seen) expect(headers.includes('range'), url).toBe(!url.endsWith('manifest.json'));
  });

  it('keeps as many bytes of blocks as it is told', async () => {
    const requests = await inTab<Record<string, number>>(`
      const requests = {};
      for (const cacheBytes of [0, 16 * 2 * ${width}, 2 ** 20]) {
        const store = await openStore(url('store'), { cacheBytes });
        for (let round = 0; round < 3; round += 1) for (const id of [1, 500, 900]) await read(store, [id]);
        requests[cacheBytes] = store.metrics.backend.requests;
        await store.close();
      }
      return requests;`);
    // The manifest, a page of checksums, then a request a block: every time, or once.
    expect(Object.values(requests)).toEqual([2 + 9, 2 + 9, 2 + 3]);
  });

  it('a damaged byte is noticed, and only its block refused; or its rows are told', async () => {
    const found = await inTab<{ code: string; others: number[]; lost: number[]; verified: string }>(`
      const store = await openStore(url('damaged'));
      const code = await codeOf(() => read(store, [420]));
      const others = [...await read(store, [415, 432])];
      const verified = await codeOf(() => store.verify());
      const tolerant = await openStore(url('damaged'), { damaged: 'fallback' });
      const lost = new Uint8Array(4);
      await read(tolerant, [415, 416, 431, 432], { lost });
      return { code, others, verified, lost: [...lost] };`);
    for (const said of [found.code, found.verified]) expect(said).toMatch(/^STORE_CORRUPT: .*block 26 \(rows 416 to 431\)/);
    expect(found.others).toEqual([415, 432].flatMap(rowOf));
    expect(found.lost).toEqual([0, 1, 1, 0]);
  });

  it('what is cut short, changed, missing, served without ranges or not for browsers is an error with a code', async () => {
    const found = await inTab<Record<string, string>>(`
      const codes = {};
      for (const name of ['cut', 'whole']) codes[name] = await codeOf(async () => read(await openStore(url(name)), [999]));
      for (const name of ['liar', 'none']) codes[name] = await codeOf(() => openStore(url(name)));
      codes.file = await codeOf(() => openStore('file:rows'));
      codes.writing = await codeOf(() => createStore(url('store'), { rows: 1, width: 1, dtype: 'f32', binding: { fgrams: '', model: '' } }));
      return codes;`);
    expect(found).toMatchObject({
      cut: expect.stringMatching(/^STORE_CORRUPT: .*rows-00002\.bin/),
      whole: expect.stringMatching(/^STORE_IO: .*sends the whole file/),
      liar: expect.stringMatching(/^STORE_CORRUPT: .*checksum/),
      none: expect.stringMatching(/^STORE_MISSING: /),
      file: expect.stringMatching(/^STORE_SCHEME: no backend for file:/),
      writing: expect.stringMatching(/^STORE_READ_ONLY: /),
    });
  });

  it('its first rows are copied into the tab’s memory, and stand before the others', async () => {
    const found = await inTab<{ rows: number[]; stats: Record<string, number> }>(`
      await copyStore(url('store'), 'memory:hot', { rows: 50 });
      const store = await openStore('tiered:memory:hot,' + url('store'));
      const rows = await read(store, [49, 50, 0]);
      return { rows, stats: store.metrics.backend };`);
    expect(found.rows).toEqual([49, 50, 0].flatMap(rowOf));
    expect(found.stats.hotRowsRead).toBeGreaterThan(0);
  });
});
