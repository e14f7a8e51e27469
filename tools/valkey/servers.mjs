/** Valkey (or Redis) servers on loopback, for tests and benches: one alone, or a cluster with replicas; they keep nothing on the disk. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SLOTS = 16_384;
/** The installed server's command; undefined if there is none. */
export const SERVER = ['valkey-server', 'redis-server'].find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
export const NO_SERVER = 'neither valkey-server nor redis-server is installed: apt-get install valkey-server, or redis-server';

/**
 * @typedef {object} Server
 * @property {number} port
 * @property {import('node:child_process').ChildProcess} process
 * @property {(...words: string[]) => Promise<string>} command of words without spaces; the reply as it came
 * @property {() => Promise<void>} start again, after it was killed
 * @property {() => Promise<void>} stop
 */

/** A port that was free a moment ago, and whose cluster bus port, 10,000 above, was too. @returns {Promise<number>} */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const servers = [port, port + 10_000].map((one) => createServer().listen(one, '127.0.0.1'));
    const outcomes = await Promise.allSettled(servers.map((server) => once(server, 'listening')));
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    if (outcomes.every(({ status }) => status === 'fulfilled')) return port;
  }
}

/** One command on a connection of its own. @param {number} port @param {readonly string[]} words @returns {Promise<string>} */
function send(port, words) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${words.join(' ')}\r\nQUIT\r\n`));
    let reply = '';
    socket.setEncoding('utf8');
    socket.on('data', (data) => {
      reply += data;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (reply.startsWith('-')) reject(new Error(`${words.join(' ')}: ${reply.trim()}`));
      else resolve(reply);
    });
  });
}

/** @param {readonly string[]} options of the server, as on its command line @returns {Promise<Server>} */
export async function startServer(options = []) {
  if (SERVER === undefined) throw new Error(NO_SERVER);
  const [command, port, folder] = [SERVER, await freePort(), mkdtempSync(path.join(tmpdir(), 'sconelm-valkey-'))];
  const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  /** @type {Server} */
  const server = {
    port,
    process: spawn(command, [...fixed, ...options], { stdio: 'ignore' }),
    command: (...words) => send(port, words),
    async start() {
      server.process = spawn(command, [...fixed, ...options], { stdio: 'ignore' });
      await untilReady(server);
    },
    async stop() {
      const { process } = server;
      if (process.exitCode === null && process.signalCode === null) {
        process.kill('SIGKILL');
        await once(process, 'close');
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await untilReady(server);
  return server;
}

/** @param {Server} server */
async function untilReady({ port, process }) {
  for (;;) {
    const reply = await send(port, ['PING']).catch(String);
    if (/PONG|NOAUTH/.test(reply)) return;
    if (process.exitCode !== null) throw new Error(`the server on port ${port} ended with ${process.exitCode}`);
    await sleep(20);
  }
}

/**
 * A cluster whose first `primaries` servers hold the slots; each of the others follows one of them, in turn.
 * @param {{ primaries?: number, replicas?: number, timeoutMs?: number, options?: readonly string[] }} [form] `replicas` of all; `timeoutMs` until a node counts as failed
 * @returns {Promise<Server[]>}
 */
export async function startCluster({ primaries = 3, replicas = 3, timeoutMs = 15_000, options = [] } = {}) {
  const own = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(timeoutMs), '--repl-diskless-sync-delay', '0', ...options];
  const servers = await Promise.all(Array.from({ length: primaries + replicas }, () => startServer(own)));
  const [first, ...others] = servers;
  for (const [i, server] of servers.slice(0, primaries).entries()) {
    const [from, to] = [i, i + 1].map((part) => Math.round((SLOTS * part) / primaries));
    await server.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to - 1));
    await server.command('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1));
  }
  for (const { port } of others) await first.command('CLUSTER', 'MEET', '127.0.0.1', String(port));
  const ids = await Promise.all(
    servers.map(async ({ command }) => /** @type {string[]} */ (/[0-9a-f]{40}/.exec(await command('CLUSTER', 'MYID')))[0]),
  );
  for (const [i, { command }] of servers.slice(primaries).entries()) {
    while (
      await command('CLUSTER', 'REPLICATE', ids[i % primaries]).then(
        () => false,
        () => true,
      )
    )
      await sleep(50);
  }
  await untilAll(
    servers,
    'CLUSTER INFO',
    (reply) => reply.includes('cluster_state:ok') && reply.includes(`cluster_known_nodes:${servers.length}`),
  );
  await untilAll(servers.slice(primaries), 'INFO replication', (reply) => reply.includes('master_link_status:up'));
  await untilAll(
    servers,
    'CLUSTER NODES',
    (reply) => reply.split('\n').filter((line) => / (myself,)?(slave|replica) /.test(line)).length === replicas,
  );
  return servers;
}

/** @param {readonly Server[]} servers @param {string} command @param {(reply: string) => boolean} holds */
async function untilAll(servers, command, holds) {
  for (const server of servers) while (!holds(await server.command(...command.split(' ')))) await sleep(50);
}
