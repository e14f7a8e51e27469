/**
 * The valkey: backend under faults. A real cluster whose servers are killed, paused and failed over under load; servers that are slow, or answer
 * anything: no wrong row ever, errors within their time, recovery without opening the store again.
 */
import { once } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { times } from '../../../tools/faults/index.mjs';
import { NO_SERVER, SERVER, type Server, startCluster, startServer } from '../../../tools/valkey/servers.mjs';
import { valkeyServersBackend } from './backends/valkey.js';
import { createStore, openStore, type RowStore, registerBackend } from './index.js';

const [rows, width] = [3000, 64];
const binding = { fgrams: 'set', model: 'model' };
const description = { rows, width, dtype: 'f32' as const, binding };
const elementOf = (id: number, column: number, generation: number) => id * 64 + column + generation / 4;
const rowsOf = (ids: Uint32Array, generation: number) =>
  Float32Array.from({ length: ids.length * width }, (_, i) => elementOf(ids[Math.floor(i / width)]!, i % width, generation));
/** Without a diff of a hundred thousand numbers. */
const isRight = (into: Float32Array, ids: Uint32Array, generation: number) =>
  Buffer.compare(Buffer.from(into.buffer), Buffer.from(rowsOf(ids, generation).buffer)) === 0;
const all = Uint32Array.from({ length: rows }, (_, id) => id);

/** Deadlines that tests can wait for. */
const [timeoutMs, deadlineMs] = [500, 10_000];
registerBackend(valkeyServersBackend('hasty', { timeoutMs, deadlineMs }));
registerBackend(valkeyServersBackend('hurried', { timeoutMs: 100, deadlineMs: 400 }));

async function publish(url: string, generation: number): Promise<void> {
  await using writer = await createStore(url, description);
  for (let first = 0; first < rows; first += 500) {
    const ids = all.subarray(first, first + 500);
    await writer.write(ids, rowsOf(ids, generation));
  }
  await writer.publish();
}

interface Load {
  good: number;
  failed: number;
  longestMs: number;
  problems: string[];
}

/** Reads batches at random, several at once, until `signal`; every row is compared, every error must be a typed one. */
async function readUnderLoad(store: RowStore, generation: number, signal: AbortSignal): Promise<Load> {
  const load: Load = { good: 0, failed: 0, longestMs: 0, problems: [] };
  const reader = async () => {
    while (!signal.aborted) {
      const ids = Uint32Array.from({ length: 1 + Math.floor(Math.random() * 300) }, () => Math.floor(Math.random() * rows));
      const into = new Float32Array(ids.length * width);
      const started = performance.now();
      try {
        await store.read(ids, into);
        load.good += 1;
        if (!isRight(into, ids, generation)) load.problems.push('a wrong row');
      } catch (error) {
        load.failed += 1;
        if (!(error instanceof Error && 'code' in error && error.code === 'STORE_IO')) load.problems.push(String(error));
      }
      load.longestMs = Math.max(load.longestMs, performance.now() - started);
    }
  };
  await Promise.all([reader(), reader(), reader()]);
  return load;
}

describe.skipIf(SERVER === undefined)(SERVER === undefined ? `skipped: ${NO_SERVER}` : 'a cluster', () => {
  let servers: Server[] = [];
  let next = 0;
  const freshUrl = (options = '') => `hasty://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/faults${next++}${options}`;
  beforeAll(async () => {
    servers = await startCluster({ timeoutMs: 500 });
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));
  const roleOf = async (server: Server) => ((await server.command('ROLE')).includes('master') ? 'primary' : 'replica');
  /** Until the cluster is whole again, with three primaries that each have a replica. */
  const whole = async () => {
    for (;;) {
      const infos = await Promise.all(
        servers.map(async ({ command }) =>
          (await Promise.all([command('CLUSTER', 'INFO'), command('CLUSTER', 'NODES'), command('INFO', 'replication')])).join(''),
        ),
      );
      const replicas = infos.filter((info) => info.includes('master_link_status:up')).length;
      if (replicas === 3 && infos.every((info) => info.includes('cluster_state:ok') && !/,fail\??[ ,]/.test(info))) return;
      await sleep(50);
    }
  };
  afterEach(whole, 30_000);
  const primary = async () => {
    const roles = await Promise.all(servers.map(roleOf));
    return servers[roles.indexOf('primary')]!;
  };

  const faults: Record<string, { strike: (server: Server) => Promise<void>; mend: (server: Server) => Promise<void> }> = {
    killed: {
      async strike(server) {
        server.process.kill('SIGKILL');
        await once(server.process, 'close');
      },
      mend: (server) => server.start(),
    },
    paused: {
      async strike(server) {
        server.process.kill('SIGSTOP');
      },
      async mend(server) {
        server.process.kill('SIGCONT');
      },
    },
    'failed over': {
      async strike(server) {
        const own = await server.command('CLUSTER', 'MYID');
        const id = /[0-9a-f]{40}/.exec(own)![0];
        const nodes = (await server.command('CLUSTER', 'NODES')).split('\n');
        const replica = nodes.find((line) => line.includes(`slave ${id}`) || line.includes(`replica ${id}`))!;
        const port = Number(/:(\d+)@/.exec(replica)![1]);
        await servers.find((one) => one.port === port)!.command('CLUSTER', 'FAILOVER');
      },
      mend: async () => {},
    },
  };

  it.each(Object.entries(faults))(
    'a primary %s under load: no wrong row, no error where a replica answers, all well again',
    async (_, { strike, mend }) => {
      const url = freshUrl();
      await publish(url, 1);
      await using store = await openStore(url);
      const into = new Float32Array(rows * width);
      for (let strikes = times(1, 20); strikes > 0; strikes -= 1) {
        const stop = new AbortController();
        const loading = readUnderLoad(store, 1, stop.signal);
        await sleep(200);
        const struck = await primary();
        await strike(struck);
        await sleep(2500);
        await mend(struck);
        await sleep(500);
        stop.abort();
        const load = await loading;
        expect(load.problems).toEqual([]);
        expect(load.good).toBeGreaterThan(20);
        expect(load.failed).toBe(0);
        expect(load.longestMs).toBeLessThan(deadlineMs + 1000);
        await store.read(all, into);
        expect(isRight(into, all, 1)).toBe(true);
        await whole();
      }
      await publish(url, 2); // writers find their way too
      await using again = await openStore(url);
      await again.read(all, into);
      expect(isRight(into, all, 2)).toBe(true);
    },
  );

  it('a primary killed while a store is written: nothing is published that is not all there', async () => {
    const url = freshUrl();
    const writer = await createStore(url, description);
    const struck = await primary();
    const writing = (async () => {
      for (let first = 0; first < rows; first += 100) {
        const ids = all.subarray(first, first + 100);
        await writer.write(ids, rowsOf(ids, 1));
        if (first === 1000) struck.process.kill('SIGKILL');
      }
    })();
    await writing;
    // Rows that were acknowledged by the killed server alone are lost: publishing finds out, and says which to write again.
    for (let attempt = 0; attempt < 20; attempt += 1) {
      try {
        await writer.publish();
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: 'STORE_INCOMPLETE' });
        for (let id = writer.nextMissing(); id >= 0; id = writer.nextMissing(id))
          await writer.write(Uint32Array.of(id), rowsOf(Uint32Array.of(id), 1));
      }
    }
    await writer.close();
    await using store = await openStore(url);
    await store.verify();
    const into = new Float32Array(rows * width);
    await store.read(all, into);
    expect(isRight(into, all, 1)).toBe(true);
    await struck.start();
  });

  it('slots that move to another server, step by step: rows are found on the way and after', async () => {
    const url = freshUrl();
    await publish(url, 1);
    await using store = await openStore(url);
    const stop = new AbortController();
    const loading = readUnderLoad(store, 1, stop.signal);
    const roles = await Promise.all(servers.map(roleOf));
    const [from, to] = servers.filter((_, i) => roles[i] === 'primary');
    const [fromId, toId] = await Promise.all(
      [from, to].map(async (server) => /[0-9a-f]{40}/.exec(await server!.command('CLUSTER', 'MYID'))![0]),
    );
    const own = new RegExp(`${fromId} .* (\\d+)-(\\d+)`).exec(await from!.command('CLUSTER', 'NODES'))!;
    let moved = 0;
    for (let slot = Number(own[1]); moved < 4; slot += 1) {
      const keys = (await from!.command('CLUSTER', 'GETKEYSINSLOT', String(slot), '1000'))
        .split('\r\n')
        .filter((word) => word.includes(':'));
      if (keys.length === 0) continue;
      moved += 1;
      await to!.command('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', fromId!);
      await from!.command('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', toId!);
      const half = Math.ceil(keys.length / 2);
      for (const some of [keys.slice(0, half), keys.slice(half)]) {
        await from!.command('MIGRATE', '127.0.0.1', String(to!.port), '""', '0', '5000', 'KEYS', ...some);
        await sleep(30); // one half is there, the other here
      }
      for (const server of [to, from]) await server!.command('CLUSTER', 'SETSLOT', String(slot), 'NODE', toId!);
    }
    await sleep(300);
    stop.abort();
    expect(await loading).toMatchObject({ problems: [], failed: 0 });
    const into = new Float32Array(rows * width);
    await store.read(all, into);
    expect(isRight(into, all, 1)).toBe(true);
    expect(store.metrics.backend.redirects).toBeGreaterThan(0);
  });

  it('reads are asked of replicas where the URL says so', async () => {
    const url = freshUrl('?replicas=yes');
    await publish(url, 1);
    await using store = await openStore(url);
    const into = new Float32Array(rows * width);
    for (let i = 0; i < 6; i += 1) {
      await store.read(all, into);
      expect(isRight(into, all, 1)).toBe(true);
    }
    expect(store.metrics.backend.connections).toBeGreaterThan(3); // the primaries alone would be three
  });

  it('another process publishes again and again: a reader has the rows of one generation', async () => {
    const url = freshUrl();
    await publish(url, 0);
    const stop = new AbortController();
    let opened = 0;
    const reader = async () => {
      while (!stop.signal.aborted) {
        await using store = await openStore(url);
        const into = new Float32Array(rows * width);
        await store.read(all, into);
        const generation = into[0]! * 4;
        expect(isRight(into, all, generation)).toBe(true);
        await store.read(all, into);
        expect(isRight(into, all, generation)).toBe(true);
        opened += 1;
      }
    };
    const reading = Promise.all([reader(), reader()]);
    for (let generation = 1; generation <= 5; generation += 1) await publish(url, generation);
    stop.abort();
    await reading;
    expect(opened).toBeGreaterThan(2);
  });

  it('rows of a store that was replaced go when their readers had their time', async () => {
    const url = freshUrl('?keep=1');
    await publish(url, 1);
    await using old = await openStore(url);
    await publish(url, 2);
    const into = new Float32Array(rows * width);
    await sleep(2500);
    await expect(old.read(all, into)).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      remedy: expect.stringContaining('Open the store again'),
    });
    await using store = await openStore(url);
    await store.read(all, into);
    expect(isRight(into, all, 2)).toBe(true);
  });
});

/** A server between us and a real one, which does what it likes with the answers. */
async function startProxy(target: number, answer: (chunk: Buffer, socket: Socket, at: number) => void): Promise<NetServer> {
  const { connect } = await import('node:net');
  const proxy = createServer((socket) => {
    const upstream = connect(target, '127.0.0.1');
    let at = 0;
    socket.on('error', () => upstream.destroy());
    upstream.on('error', () => socket.destroy());
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
    socket.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => {
      answer(chunk, socket, at);
      at += chunk.length;
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return proxy;
}
const portOf = (server: NetServer) => (server.address() as { port: number }).port;

describe.skipIf(SERVER === undefined)(SERVER === undefined ? `skipped: ${NO_SERVER}` : 'one server, answers disturbed on their way', () => {
  let server: Server;
  let proxy: NetServer | undefined;
  beforeAll(async () => {
    server = await startServer();
    await publish(`valkey://127.0.0.1:${server.port}/rows`, 1);
  });
  afterEach(() => proxy?.close());
  afterAll(() => server.stop());

  it('damage of every kind: right rows or a typed error in time, never a wrong row', async () => {
    let mischief: { readonly from: number; readonly kind: number; readonly length: number; readonly seed: number } | undefined;
    const seen = { good: 0, failed: 0 };
    proxy = await startProxy(server.port, (chunk, socket, at) => {
      if (mischief === undefined || at + chunk.length <= mischief.from) {
        socket.write(chunk);
        return;
      }
      const from = Math.max(0, mischief.from - at) % chunk.length;
      const { kind, length, seed } = mischief;
      if (kind === 0)
        socket.end(chunk.subarray(0, from)); // cut short
      else if (kind === 1)
        socket.write(chunk.fill(seed, from, from + length)); // overwritten
      else if (kind === 2)
        socket.write(Buffer.concat([chunk.subarray(0, from), chunk.subarray(from + length)])); // bytes lost
      else if (kind === 3)
        socket.write(Buffer.concat([chunk.subarray(0, from + length), chunk.subarray(from)])); // bytes twice
      else if (kind === 4) socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
      else if (kind === 5) socket.write('$99999999999\r\n');
      else if (kind === 6) socket.write(`-MOVED ${seed} 127.0.0.1:1\r\n`);
      else if (kind === 7) socket.write('*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n');
      else chunk[from]! ^= 1 << (seed & 7); // one bit, and then silence
      mischief = undefined; // the next connection is well
    });
    const url = `hurried://127.0.0.1:${portOf(proxy)}/rows`;
    await fc.assert(
      fc.asyncProperty(
        fc.record({ from: fc.nat(40_000), kind: fc.nat(8), length: fc.integer({ min: 1, max: 600 }), seed: fc.nat(255) }),
        fc.uniqueArray(fc.nat(rows - 1), { minLength: 1, maxLength: 150 }),
        async (next, picks) => {
          const ids = Uint32Array.from(picks);
          const into = new Float32Array(ids.length * width);
          const started = performance.now();
          try {
            await using store = await openStore(url);
            mischief = next;
            await store.read(ids, into);
            expect(isRight(into, ids, 1)).toBe(true);
            seen.good += 1;
          } catch (error) {
            expect(error).toMatchObject({ code: expect.stringMatching(/^STORE_(IO|CORRUPT)$/) });
            seen.failed += 1;
          } finally {
            mischief = undefined;
          }
          expect(performance.now() - started).toBeLessThan(4000);
        },
      ),
      { numRuns: times(120, 5000) },
    );
    expect(seen.good).toBeGreaterThan(0);
  });

  it('a slow server: an error within the deadline, and rows once it is quick again', async () => {
    let pauseMs = 0;
    proxy = await startProxy(server.port, (chunk, socket) => {
      setTimeout(() => socket.write(chunk), pauseMs);
    });
    await using store = await openStore(`hurried://127.0.0.1:${portOf(proxy)}/rows`);
    const into = new Float32Array(width);
    pauseMs = 1000;
    const started = performance.now();
    await expect(store.read(Uint32Array.of(7), into)).rejects.toMatchObject({
      code: 'STORE_IO',
      message: expect.stringContaining('no answer within 100 ms'),
    });
    expect(performance.now() - started).toBeLessThan(3000);
    pauseMs = 0;
    await store.read(Uint32Array.of(7), into);
    expect(isRight(into, Uint32Array.of(7), 1)).toBe(true);
  });

  it('a writer whose server stops is told in time, and goes on when it is back', async () => {
    const url = `hurried://127.0.0.1:${server.port}/paused`;
    await using writer = await createStore(url, description);
    const half = all.subarray(0, 1500);
    await writer.write(half, rowsOf(half, 1));
    server.process.kill('SIGSTOP');
    const started = performance.now();
    await expect(writer.write(all, rowsOf(all, 1))).rejects.toMatchObject({ code: 'STORE_IO' });
    expect(performance.now() - started).toBeLessThan(10_000);
    server.process.kill('SIGCONT');
    await writer.write(all, rowsOf(all, 1));
    await writer.publish();
    await using store = await openStore(url);
    await store.verify();
  });

  it.each([
    'HTTP/1.1 200 OK\r\n\r\n<html>',
    '\0\0\0\0\0\0',
    '-ERR no\r\n',
    ':1\r\n',
    '$5\r\nhello\r\n',
    '*-1\r\n',
    '+OK\r\n',
    '*1\r\n*3\r\n:0\r\n:5\r\n*0\r\n',
  ])('a server that answers everything with %j is refused in time', async (answer) => {
    proxy = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', () => socket.write(answer));
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    await expect(openStore(`hurried://127.0.0.1:${portOf(proxy)}/rows`)).rejects.toMatchObject({ code: 'STORE_IO' });
  });
});

it('no server, a wrong address, a wrong option: a typed error that says so', async () => {
  await expect(openStore('hurried://127.0.0.1:1/rows')).rejects.toMatchObject({ code: 'STORE_IO' });
  for (const url of [
    'valkey:rows',
    'valkey://host',
    'valkey://host/rows?replica=yes',
    'valkey://host/rows?keep=-1',
    'valkey://user:word@host/rows',
    'valkey://host/a{b}',
  ])
    await expect(openStore(url)).rejects.toMatchObject({ code: 'STORE_ARGUMENT' });
});
