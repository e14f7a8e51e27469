/** Stores behind a web server that does what it should; the others are in https.faults.test.ts. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { webBackend } from './backends/https.js';
import { planRanges } from './backends/range-plan.js';
import { createStore, openStore, registerBackend } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-https-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [rows, width] = [300, 8];
const valueAt = (id: number, column: number, generation: number) => id * 100 + column + generation * 0.5;
const rowsOf = (ids: readonly number[], generation: number) =>
  ids.flatMap((id) => Array.from({ length: width }, (_, column) => valueAt(id, column, generation)));

async function publish(name: string, generation: number): Promise<void> {
  const binding = { fgrams: 'set', model: `model ${generation}` };
  await using writer = await createStore(`file:${join(folder, name)}`, {
    rows,
    width,
    dtype: 'f32',
    binding,
    blockRows: 7,
    shardRows: 105,
  });
  const ids = Array.from({ length: rows }, (_, id) => id);
  await writer.write(Uint32Array.from(ids), Float32Array.from(rowsOf(ids, generation)));
  await writer.publish();
}

beforeAll(async () => {
  await publish('first', 1);
});

describe('a real server', () => {
  let server: Server;
  const seen: { readonly url: string; readonly headers: Readonly<Record<string, unknown>> }[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      seen.push({ url: request.url ?? '', headers: request.headers });
      let body: Buffer;
      try {
        body = readFileSync(join(folder, 'first', request.url?.replace('/store/', '') ?? ''));
      } catch {
        response.writeHead(404).end();
        return;
      }
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (from === undefined) response.end(body);
      else {
        response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${body.length}` });
        response.end(body.subarray(Number(from), Number(to) + 1));
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());
  const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  it('gives rows in any order, asks for each block once, and sends no header but the range', async () => {
    await using store = await openStore(`${address()}/store`, { expect: { model: 'model 1' } });
    const ids = [299, 3, 4, 5, 104, 105, 3, 200];
    const into = new Float32Array(ids.length * width);
    await store.read(Uint32Array.from(ids), into);
    expect([...into]).toEqual(rowsOf(ids, 1));
    const { requests } = store.metrics.backend;
    expect(requests).toBeLessThanOrEqual(7); // manifest, checksums, five places
    await store.read(Uint32Array.of(5, 2), into);
    expect([...into.subarray(0, 2 * width)]).toEqual(rowsOf([5, 2], 1));
    expect(store.metrics.backend.requests).toBe(requests);
    await store.verify();
    const usual = ['host', 'connection', 'accept', 'accept-language', 'sec-fetch-mode', 'user-agent', 'accept-encoding', 'range'];
    for (const { headers } of seen) expect(Object.keys(headers).filter((name) => !usual.includes(name))).toEqual([]);
  });

  it('a store that is not there, a folder that is none, an address with a query', async () => {
    await expect(openStore(`${address()}/elsewhere`)).rejects.toMatchObject({ code: 'STORE_MISSING' });
    await expect(openStore(`${address()}/store/rows-00000.bin`)).rejects.toMatchObject({ code: 'STORE_MISSING' });
    await expect(openStore(`${address()}/store?version=2`)).rejects.toMatchObject({ code: 'STORE_ARGUMENT' });
    await expect(
      createStore(`${address()}/store`, { rows, width, dtype: 'f32', binding: { fgrams: '', model: '' } }),
    ).rejects.toMatchObject({
      code: 'STORE_READ_ONLY',
    });
  });
});

it('aborting ends a read with the signal’s reason, closing with STORE_CLOSED, and both stop the requests', async () => {
  let running = 0;
  const hanging: typeof globalThis.fetch = (input, init) => {
    if (String(input).endsWith('manifest.json'))
      return Promise.resolve(new Response(Uint8Array.from(readFileSync(join(folder, 'first/manifest.json')))));
    running += 1;
    return new Promise((_, reject) => {
      init?.signal?.addEventListener('abort', () => {
        running -= 1;
        reject(init.signal?.reason);
      });
    });
  };
  registerBackend(webBackend('hanging', 'https', { fetch: hanging }));
  await using store = await openStore('hanging://host/store', { check: 'never' });
  const abort = new AbortController();
  const reading = store.read(Uint32Array.of(1, 150, 299), new Float32Array(3 * width), { signal: abort.signal });
  await new Promise(setImmediate);
  expect(running).toBe(3);
  abort.abort(new Error('enough'));
  await expect(reading).rejects.toThrow('enough');
  expect(running).toBe(0);
});

it('ranges join neighbours and near neighbours, never across files', () => {
  const plan = (ids: number[], gap: number) =>
    planRanges(Uint32Array.from(ids), { rowBytes: 10, shardRows: 100 }, gap).map(({ shard, position, bytes, start, end }) => [
      shard,
      position,
      bytes,
      start,
      end,
    ]);
  expect(plan([0, 1, 2, 5, 99, 100, 101], 0)).toEqual([
    [0, 0, 30, 0, 3],
    [0, 50, 10, 3, 4],
    [0, 990, 10, 4, 5],
    [1, 0, 20, 5, 7],
  ]);
  expect(plan([0, 2, 5, 9], 20)).toEqual([
    [0, 0, 60, 0, 3],
    [0, 90, 10, 3, 4],
  ]);
});
