/**
 * Rows in a six-node Valkey cluster on loopback: our backend against client packages that have the same rows under a key each; and a read that is under way
 * while something is computed, from a server that is a millisecond away.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openStore } from '@sconelm/offload-store';
import { NO_SERVER, SERVER, startCluster, startServer } from '../../valkey/servers.mjs';
import { bytesOf, distribution, eachChunk, uniform } from './data.mjs';
import { fill } from './engines.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */

const FORM = { rowBytes: 1024, rows: 100_000 };
const WIDTH = FORM.rowBytes / 4;
const BATCHES = [1, 16, 256, 4096];
const ROUND_MS = 150;
const PREFETCH = 'read-remote-1ms-16-row1024';
/** Of the work that the next rows are read behind. */
const COMPUTE_MS = 3;
const REMOTE_BATCH = 16;
const LATE_MS = 1;

const READS = BATCHES.map((batch) => ({ name: `read-cluster-uniform-${batch}-row${FORM.rowBytes}`, batch }));
export const CASES = [...READS.map(({ name }) => name), PREFETCH];
export const OWN = ['valkey'];
/** Loaded late: they are installed when a bench runs. @type {readonly import('../peers/valkey-clients.mjs').Client[]} */
const clients = (await import(new URL('../peers/valkey-clients.mjs', import.meta.url).href)).clients;
export const PEERS = [...clients.map(({ name }) => name), 'no-prefetch', 'compute-alone'];

const median = (/** @type {number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** @param {import('../report.mjs').Choice} choice @returns {Promise<Measurement[]>} */
export async function measureValkey({ engines, cases, rounds, say }) {
  const own = CASES.filter((name) => cases.includes(name));
  if (own.length === 0) return [];
  if (SERVER === undefined) return own.map((name) => ({ case: name, engine: 'valkey', median: null, unit: 'us/row', note: NO_SERVER }));
  const reads = READS.filter(({ name }) => own.includes(name));
  return [
    ...(reads.length > 0 ? await measureCluster(engines, reads, rounds, say) : []),
    ...(own.includes(PREFETCH) ? await measurePrefetch(engines, rounds, say) : []),
  ];
}

/** @typedef {(ids: Uint32Array, into: Float32Array) => void | Promise<void>} Read */

/** @param {readonly string[]} engines @param {typeof READS} reads @param {number} rounds @param {(line: string) => void} say */
async function measureCluster(engines, reads, rounds, say) {
  const servers = await startCluster();
  try {
    const ports = servers.map(({ port }) => port);
    const url = `valkey://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/bench`;
    await fill(url, FORM);
    const store = await openStore(url);
    /** @type {{ name: string, read: Read, close: () => unknown }[]} */
    const opened = [{ name: 'valkey', read: (ids, into) => store.read(ids, into), close: () => store.close() }];
    for (const { name, open } of clients.filter((client) => engines.includes(client.name))) {
      const client = await open(ports);
      if (opened.length === 1) {
        await eachChunk(FORM, (ids, rows) => {
          const bytes = bytesOf(rows);
          return Promise.all(
            Array.from(ids, (id, i) => client.set(`row:${id}`, bytes.subarray(i * FORM.rowBytes, (i + 1) * FORM.rowBytes))),
          );
        });
      }
      const read = async (/** @type {Uint32Array} */ ids, /** @type {Float32Array} */ into) => {
        const values = await client.get(Array.from(ids, (id) => `row:${id}`));
        const bytes = bytesOf(into);
        values.forEach((value, i) => {
          bytes.set(/** @type {Uint8Array} */ (value), i * FORM.rowBytes);
        });
      };
      opened.push({ name, read, close: client.close });
    }
    /** @type {Measurement[]} */
    const measurements = [];
    for (const { name, batch } of reads) {
      const results = opened.map((engine) => ({ engine, us: /** @type {number[]} */ ([]), isRight: true }));
      for (let round = 0; round <= rounds; round++) {
        for (const result of results) {
          const { us, isRight } = await timeReads(result.engine.read, batch, round + 1);
          if (round > 0) result.us.push(us); // the first is for warming
          result.isRight &&= isRight;
        }
      }
      for (const { engine, us, isRight } of results) measurements.push(row(name, engine.name, median(us), isRight, say));
    }
    for (const { close } of opened) await close();
    return measurements;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** Batches for ROUND_MS. @param {Read} read @param {number} batch @param {number} seed */
async function timeReads(read, batch, seed) {
  const next = distribution('uniform', FORM.rows, uniform(seed));
  const into = new Float32Array(batch * WIDTH);
  let [batches, isRight] = [0, true];
  const started = performance.now();
  while (performance.now() - started < ROUND_MS) {
    const ids = Uint32Array.from({ length: batch }, next);
    await read(ids, into);
    batches++;
    isRight &&= ids.every((id, i) => into[i * WIDTH] === id);
  }
  return { us: ((performance.now() - started) * 1000) / (batches * batch), isRight };
}

/** @param {string} name @param {string} engine @param {number} us @param {boolean} isRight @param {(line: string) => void} say @returns {Measurement} */
function row(name, engine, us, isRight, say) {
  say(`  ${name.padEnd(34)} ${engine.padEnd(24)} ${us.toFixed(2)} us${isRight ? '' : '  WRONG ROWS'}`);
  return { case: name, engine, median: us, unit: 'us/row', ...(isRight ? {} : { disagrees: true, note: 'not the rows asked for' }) };
}

/** A thread of its own through which a server's answers come `lateMs` later. */
const LATE = `
  const { createServer, connect } = require('node:net');
  const { parentPort, workerData: { port, lateMs } } = require('node:worker_threads');
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far);
    far.on('data', (data) => setTimeout(() => near.write(data), lateMs));
    for (const socket of [near, far]) {
      socket.on('error', () => {});
      socket.on('close', () => [near, far].forEach((one) => one.destroy()));
    }
  }).listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`;

/** @param {readonly string[]} engines @param {number} rounds @param {(line: string) => void} say @returns {Promise<Measurement[]>} */
async function measurePrefetch(engines, rounds, say) {
  const server = await startServer();
  const late = new Worker(LATE, { eval: true, workerData: { port: server.port, lateMs: LATE_MS } });
  try {
    const port = await new Promise((resolve) => late.once('message', resolve));
    await fill(`valkey://127.0.0.1:${server.port}/bench`, FORM);
    const store = await openStore(`valkey://127.0.0.1:${port}/bench`);
    const steps = 30;
    const next = distribution('uniform', FORM.rows, uniform(1));
    const ids = Array.from({ length: steps + 1 }, () => Uint32Array.from({ length: REMOTE_BATCH }, next));
    const into = [new Float32Array(REMOTE_BATCH * WIDTH), new Float32Array(REMOTE_BATCH * WIDTH)];
    let isRight = true;
    /** Waits as for an accelerator that decodes. @param {number} step */
    const compute = async (step) => {
      isRight &&= ids[step][0] === into[step % 2][0];
      await sleep(COMPUTE_MS);
    };
    /** @type {Record<string, () => Promise<void>>} */
    const ways = {
      async valkey() {
        let reading = store.read(ids[0], into[0]);
        for (let step = 0; step < steps; step++) {
          await reading;
          reading = store.read(ids[step + 1], into[(step + 1) % 2]);
          await compute(step);
        }
        await reading;
      },
      async 'no-prefetch'() {
        for (let step = 0; step < steps; step++) {
          await store.read(ids[step], into[step % 2]);
          await compute(step);
        }
      },
      async 'compute-alone'() {
        for (let step = 0; step < steps; step++) await sleep(COMPUTE_MS);
      },
    };
    /** @type {Record<string, number[]>} */
    const us = {};
    for (let round = 0; round <= rounds; round++) {
      for (const [name, way] of Object.entries(ways).filter(([name]) => engines.includes(name))) {
        const started = performance.now();
        await way();
        if (round === 0) us[name] = [];
        else us[name].push(((performance.now() - started) * 1000) / (steps * REMOTE_BATCH));
      }
    }
    await store.close();
    return Object.entries(us).map(([name, times]) => row(PREFETCH, name, median(times), isRight, say));
  } finally {
    await late.terminate();
    await server.stop();
  }
}
