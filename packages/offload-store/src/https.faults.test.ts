/** Web servers that fail, lie, wait and change: a simulated one that does so at the seed's choice, and real ones. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { formatManifest } from '@sconelm/artifact';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flawOf, forHostileJson, forSeeds, objectIn, randomFrom, runSeed, times } from '../../../tools/faults/index.mjs';
import { webBackend } from './backends/https.js';
import { createStore, openStore, registerBackend } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'sconelm-https-'));
const [rows, width] = [300, 8];
const rowsOf = (ids: readonly number[], generation: number) =>
  ids.flatMap((id) => Array.from({ length: width }, (_, column) => id * 100 + column + generation * 0.5));

async function publish(name: string, generation: number): Promise<void> {
  const binding = { fgrams: 'set', model: `model ${generation}` };
  const form = { rows, width, dtype: 'f32' as const, blockRows: 7, shardRows: 105 };
  await using writer = await createStore(`file:${join(folder, name)}`, { ...form, binding });
  const ids = Array.from({ length: rows }, (_, id) => id);
  await writer.write(Uint32Array.from(ids), Float32Array.from(rowsOf(ids, generation)));
  await writer.publish();
}

const files = new Map<string, Uint8Array<ArrayBuffer>>();
function fileOf(generation: string, name: string): Uint8Array<ArrayBuffer> {
  const path = join(folder, generation, name);
  const bytes = files.get(path) ?? Uint8Array.from(readFileSync(path));
  files.set(path, bytes);
  return bytes;
}

beforeAll(async () => {
  await publish('first', 1);
  await publish('second', 2);
});
afterAll(() => rmSync(folder, { recursive: true }));

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
    const body = fileOf(this.generation, name);
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
  let server: SimulatedServer;
  const fetch: typeof globalThis.fetch = (input, init) => server.fetch(input, init);
  registerBackend(webBackend('simulated', 'https', { fetch, sleep: async () => {}, random: () => 0.5 }));
  const count = times(5000, 200_000);
  const sums = await forSeeds(count, async (seed) => {
    server = new SimulatedServer(seed);
    const random = randomFrom(seed + 1);
    /** 1 if it failed, as it may. */
    const failures = async (work: () => Promise<void>): Promise<number> => {
      try {
        await work();
        return 0;
      } catch (error) {
        expect(flawOf(error)).toBeUndefined();
        return 1;
      }
    };
    const seen = { batches: 0, refused: 0, unopened: 0 };
    seen.unopened = await failures(async () => {
      await using store = await openStore('simulated://host/store');
      const generation = store.manifest.binding.model === 'model 1' ? 1 : 2;
      for (; seen.batches < 2; seen.batches += 1) {
        const ids = Array.from({ length: random.below(20) }, () => random.below(rows));
        const into = new Float32Array(ids.length * width);
        const failed = await failures(async () => store.read(Uint32Array.from(ids), into));
        seen.refused += failed;
        if (failed === 0) expect([...into]).toEqual(rowsOf(ids, generation));
      }
    });
    return seen;
  });
  expect(sums.batches! - sums.refused!).toBeGreaterThan(count / 3);
  expect(sums.refused! + sums.unopened!).toBeGreaterThan(count / 10);
});

/** What a server of the first store gives to a request. */
function answerOf({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>) {
  const body = fileOf('first', url.split('/').at(-1) ?? '');
  const [, from, to] = (/^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? []).map(Number);
  if (from === undefined || to === undefined) return { status: 200, headers: {}, body };
  return { status: 206, headers: { 'content-range': `bytes ${from}-${to}/${body.length}` }, body: body.slice(from, to + 1) };
}

describe('a real server that', () => {
  type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
  });

  async function portOf(server: Server): Promise<number> {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  registerBackend(webBackend('patient', 'http', { tries: 2, pauseMs: 5 }));
  registerBackend(webBackend('impatient', 'http', { timeoutMs: 200, tries: 2, pauseMs: 5 }));

  /** How a read of three rows ends: with the right ones, or with a typed error within the deadlines of a few requests. */
  async function outcome(port: number, client = 'patient'): Promise<string> {
    const started = performance.now();
    try {
      await using store = await openStore(`${client}://127.0.0.1:${port}/store`);
      const into = new Float32Array(3 * width);
      await store.read(Uint32Array.of(0, 150, 299), into);
      expect([...into]).toEqual(rowsOf([0, 150, 299], 1));
      return 'right';
    } catch (error) {
      expect(flawOf(error)).toBeUndefined();
      expect(performance.now() - started).toBeLessThan(10_000); // it would be for ever
      return (error as { code: string }).code;
    }
  }

  const honest: Behaviour = (request, response) => {
    const { status, headers, body } = answerOf(request);
    response.writeHead(status, headers).end(body);
  };
  const isRows = ({ url }: IncomingMessage) => url?.includes('rows-') === true;
  const behaviours: Record<string, { readonly code: string; readonly client?: string; readonly behave: Behaviour }> = {
    'does what it should': { code: 'right', behave: honest },
    'never answers': { code: 'STORE_IO', client: 'impatient', behave: () => {} },
    'stops in the middle of rows': {
      code: 'STORE_IO',
      client: 'impatient',
      behave: (request, response) => {
        if (!isRows(request)) return honest(request, response);
        const { status, headers, body } = answerOf(request);
        response.writeHead(status, { ...headers, 'content-length': body.length });
        response.write(body.slice(0, 5));
      },
    },
    'sends a byte now and then': {
      code: 'STORE_IO',
      client: 'impatient',
      behave: (request, response) => {
        if (!isRows(request)) return honest(request, response);
        const { status, headers, body } = answerOf(request);
        response.writeHead(status, headers);
        let sent = 0;
        const timer = setInterval(() => {
          response.write(body.slice(sent, sent + 1));
          sent += 1;
        }, 10);
        response.on('close', () => clearInterval(timer));
      },
    },
    'sends rows without end': {
      code: 'STORE_CORRUPT',
      behave: (request, response) => {
        if (!isRows(request)) return honest(request, response);
        response.writeHead(206, answerOf(request).headers);
        const more = () => {
          while (response.write(new Uint8Array(2 ** 16)));
        };
        response.on('drain', more);
        more();
      },
    },
    'sends a manifest that unpacks to a gigabyte': {
      code: 'STORE_CORRUPT',
      behave: (_, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb);
      },
    },
    'hangs up': { code: 'STORE_IO', behave: (request) => void request.socket.destroy() },
    'hangs up in the middle of rows': {
      code: 'STORE_IO',
      behave: (request, response) => {
        if (!isRows(request)) return honest(request, response);
        const { status, headers, body } = answerOf(request);
        response.writeHead(status, { ...headers, 'content-length': body.length });
        response.write(body.slice(0, 5), () => request.socket.destroy());
      },
    },
    'knows no ranges': {
      code: 'STORE_IO',
      behave: (request, response) => void response.writeHead(200).end(fileOf('first', request.url?.split('/').at(-1) ?? '')),
    },
    'says that the file is shorter': {
      code: 'STORE_CORRUPT',
      behave: (request, response) => (isRows(request) ? void response.writeHead(416).end() : honest(request, response)),
    },
    'has lost a file of rows': {
      code: 'STORE_MISSING',
      behave: (request, response) => (isRows(request) ? void response.writeHead(404).end() : honest(request, response)),
    },
    'refuses rows': {
      code: 'STORE_IO',
      behave: (request, response) => (isRows(request) ? void response.writeHead(403).end() : honest(request, response)),
    },
    'is overloaded now and then': {
      code: 'right',
      behave: (() => {
        const asked = new Set<string>();
        return (request: IncomingMessage, response: ServerResponse) => {
          const what = `${request.url} ${request.headers.range}`;
          if (asked.has(what)) return honest(request, response);
          asked.add(what);
          response.writeHead(503).end('busy');
        };
      })(),
    },
  };
  const bomb = gzipSync(new Uint8Array(2 ** 30), { level: 1 });

  it.each(Object.entries(behaviours))('%s', async (_, { code, client, behave }) => {
    expect(await outcome(await portOf(createServer(behave)), client)).toBe(code);
  });

  it('speaks no HTTP', async () => {
    const texts = [
      '',
      'SSH-2.0-OpenSSH\r\n',
      'HTTP/1.1 999999 \r\n\r\n',
      'HTTP/1.1 206 OK\r\ncontent-length: -1\r\n\r\n',
      '\0'.repeat(70_000),
    ];
    const random = randomFrom(runSeed);
    for (let i = 0; i < 10; i += 1) texts.push(Buffer.from(Array.from({ length: 100 }, () => random.below(256))).toString('latin1'));
    for (const text of texts) {
      const server = createSocketServer((socket) => {
        socket.on('error', () => {}); // the client hangs up
        socket.end(Buffer.from(text, 'latin1'));
      });
      expect(await outcome(await portOf(server)), JSON.stringify(text.slice(0, 100))).toBe('STORE_IO');
    }
  });

  it('sends elsewhere is not followed, to no host', async () => {
    let visited = 0;
    const elsewhere = await portOf(
      createServer((request, response) => {
        visited += 1;
        honest(request, response);
      }),
    );
    for (const status of [301, 302, 303, 307, 308]) {
      for (const target of [`http://127.0.0.1:${elsewhere}`, `http://localhost:${elsewhere}`, `//127.0.0.1:${elsewhere}`]) {
        for (const when of [() => true, isRows]) {
          const redirecting = createServer((request, response) => {
            if (when(request)) response.writeHead(status, { location: `${target}${request.url}` }).end();
            else honest(request, response);
          });
          expect(await outcome(await portOf(redirecting))).toBe('STORE_IO');
        }
      }
    }
    expect(visited).toBe(0);
  });
});

it('hostile manifests are refused or understood within the caps, and lead nowhere', async () => {
  const { kind, version, checksum: _, ...body } = JSON.parse(new TextDecoder().decode(fileOf('first', 'manifest.json')));
  let manifest = '';
  const asked = new Set<string>();
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const url = new URL(String(input));
    asked.add(`${url.origin}${url.pathname.slice(0, url.pathname.lastIndexOf('/'))}`);
    const name = url.pathname.split('/').at(-1) ?? '';
    if (name === 'manifest.json') return new Response(manifest);
    if (!files.has(join(folder, 'first', name))) return new Response('', { status: 404 });
    const { status, headers, body } = answerOf({ url: name, headers: { range: new Headers(init?.headers).get('range') ?? '' } });
    return body.length === 0 ? new Response('', { status: 416 }) : new Response(body, { status, headers });
  };
  for (const name of ['checksums.bin', 'rows-00000.bin', 'rows-00001.bin', 'rows-00002.bin']) fileOf('first', name);
  registerBackend(webBackend('hostile', 'https', { fetch, sleep: async () => {}, tries: 2 }));
  const seen = await forHostileJson(
    body,
    async (text) => {
      const fields = objectIn(text);
      manifest = fields === undefined ? text : formatManifest('manifest.json', { ...fields, kind, version });
      await using store = await openStore('hostile://host/folder');
      if (store.rows === 0) return;
      const into = new Uint8Array(2 * store.rowBytes);
      await store.readEncoded(Uint32Array.of(0, store.rows - 1), into);
    },
    { runs: times(1500, 200_000) },
  );
  expect(seen.refused).toBeGreaterThan(1000);
  expect(seen.refused).toBeLessThan(seen.tried);
  expect([...asked]).toEqual(['https://host/folder']);
});
