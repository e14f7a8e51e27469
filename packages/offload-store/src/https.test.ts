/** Stores behind web servers: a real one, and a simulated one that fails in every way at the seed's choice. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flawOf, randomFrom, runSeed, times } from '../../../tools/faults/index.mjs';
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
  await publish('second', 2);
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

/** A server in memory: each answer may fail in one of many ways, and the store may be replaced at any moment. */
class SimulatedServer {
  readonly #random: ReturnType<typeof randomFrom>;
  readonly #mayReplace: boolean;
  generation = 'first';
  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#mayReplace = seed % 2 === 0;
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    if (this.#mayReplace && this.#random.below(12) === 0) this.generation = this.generation === 'first' ? 'second' : 'first';
    const name = new URL(String(input)).pathname.split('/').at(-1) ?? '';
    const body = Uint8Array.from(readFileSync(join(folder, this.generation, name)));
    const range = new Headers(init?.headers).get('range');
    const [, from, to] = (/^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []).map(Number);
    const part = range === null ? body : body.slice(from, to + 1);
    const headers = range === null ? {} : { 'content-range': `bytes ${from}-${to}/${body.length}` };
    const status = range === null ? 200 : 206;
    switch (this.#random.below(14)) {
      case 0:
        return new Response('busy', { status: 500 + this.#random.below(4) });
      case 1:
        return new Response('slow down', { status: 429 });
      case 2:
        throw new TypeError('fetch failed');
      case 3:
        return new Response(part.slice(0, this.#random.below(part.length)), { status, headers });
      case 4:
        return new Response(
          Uint8Array.from(part, () => this.#random.below(256)),
          { status, headers },
        );
      case 5:
        return new Response(new Uint8Array([...part, 1, 2, 3]), { status, headers });
      case 6:
        return new Response(part, { status, headers: { 'content-range': `bytes ${(from ?? 0) + 1}-${to}/${body.length}` } });
      case 7:
        if (this.#random.below(4) === 0) return new Response(body, { status: 200 });
        return new Response(part, { status });
      case 8:
        return new Response(part.slice(0, -1), { status }); // without a Content-Range
      default:
        return new Response(part, { status, headers });
    }
  };
}

it('whatever a server does, no row is wrong and every failure is typed', async () => {
  let right = 0;
  let refused = 0;
  const count = times(300, 10_000);
  for (let round = 0; round < count; round += 1) {
    const seed = runSeed + round;
    const server = new SimulatedServer(seed);
    const scheme = `simulated-${seed}`;
    registerBackend(webBackend(scheme, 'https', { fetch: server.fetch, sleep: async () => {}, random: () => 0.5 }));
    const random = randomFrom(seed + 1);
    try {
      await using store = await openStore(`${scheme}://host/store`);
      const generation = store.manifest.binding.model === 'model 1' ? 1 : 2;
      for (let batch = 0; batch < 4; batch += 1) {
        const ids = Array.from({ length: random.below(40) }, () => random.below(rows));
        const into = new Float32Array(ids.length * width);
        try {
          await store.read(Uint32Array.from(ids), into);
        } catch (error) {
          expect(flawOf(error), `seed ${seed}`).toBeUndefined();
          refused += 1;
          continue;
        }
        right += 1;
        expect([...into], `seed ${seed}`).toEqual(rowsOf(ids, generation));
      }
    } catch (error) {
      expect(flawOf(error), `seed ${seed}`).toBeUndefined();
      refused += 1;
    }
  }
  expect(right).toBeGreaterThan(count / 3);
  expect(refused).toBeGreaterThan(count / 10);
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
