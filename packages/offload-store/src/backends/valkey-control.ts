/**
 * What is about a whole store and not about one row: which generation is published, the unfinished one, and who is writing. All of it is in one
 * slot, so that it changes at once. A writer's lock is his connection: when he dies, the server knows.
 */
import { type ManifestForm, parseManifest } from '@sconelm/artifact/portable';
import { z } from 'zod';
import type { RowRange } from '../backend.js';
import { asStoreError, StoreError } from '../errors.js';
import { descriptionSchema, manifestSchema } from '../manifest.js';
import type { ValkeyClient } from './valkey-client.js';
import type { Connection } from './valkey-connection.js';
import type { Waiting } from './valkey-dispatch.js';
import type { ValkeyLocation } from './valkey-keys.js';
import { sleep } from './valkey-network.js';
import type { Reply } from './valkey-reply.js';
import { slotOf } from './valkey-topology.js';

const generation = z.string().regex(/^[0-9a-f]{16}$/);
export const publishedForm = { kind: 'sconelm-store-valkey', version: 1, schema: z.strictObject({ store: manifestSchema, generation }) };
export const unfinishedForm = {
  kind: 'sconelm-store-valkey-unfinished',
  version: 1,
  schema: z.strictObject({ description: descriptionSchema, generation }),
};

/** @returns undefined if the key is not there @throws {StoreError} STORE_CORRUPT, STORE_VERSION, STORE_KIND */
export function parseControl<Schema extends z.ZodType>(
  name: string,
  text: Reply,
  form: ManifestForm<Schema>,
): z.output<Schema> | undefined {
  if (text === null) return undefined;
  try {
    return parseManifest(name, String(text), form);
  } catch (error) {
    throw asStoreError(error, name);
  }
}

export const keysOf = ({ name }: ValkeyLocation) => ({
  manifest: `{${name}}:manifest`,
  unfinished: `{${name}}:unfinished`,
  /** The unfinished generation, if one of its rows may have been written with two values. */
  replaced: `{${name}}:replaced`,
  /** Range of rows -> the server's run and the connection's number there. */
  writers: `{${name}}:writers`,
  /** Generation -> what is to become of it. */
  retired: `{${name}}:retired`,
});

/** A connection to the server with the store's control keys, and the lock on a range of rows that lives as long as it does. */
export class WriterLock {
  readonly #client: ValkeyClient;
  readonly #location: ValkeyLocation;
  readonly #range: RowRange;
  #connection: Connection;
  /** As it stands under `writers`. */
  #holder: string;

  private constructor(client: ValkeyClient, location: ValkeyLocation, range: RowRange, held: Held) {
    this.#client = client;
    this.#location = location;
    this.#range = range;
    this.#connection = held.connection;
    this.#holder = held.holder;
  }

  /** @throws {StoreError} STORE_LOCKED, STORE_IO */
  static acquire(client: ValkeyClient, location: ValkeyLocation, range: RowRange): Promise<WriterLock> {
    return client.within(async (waiting) => new WriterLock(client, location, range, await acquire(client, location, range, waiting)));
  }

  /**
   * Runs commands on the control keys, with the lock held. After a lost connection the lock is taken again and `work` runs again: it must bear that.
   * @throws {StoreError} STORE_LOCKED: another writer came meanwhile; STORE_IO
   */
  run<T>(work: (send: Connection['command']) => Promise<T>): Promise<T> {
    return this.#client.within(async (waiting) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          const connection = this.#connection;
          const holder = await connection.command('HGET', keysOf(this.#location).writers, fieldOf(this.#range));
          if (String(holder) !== this.#holder) throw new Error('the lock is not held any more');
          return await work((...words) => {
            expectWaiting(waiting);
            return connection.command(...words);
          });
        } catch (error) {
          if (error instanceof StoreError || attempt === MAX_LOSSES) throw error;
          expectWaiting(waiting);
          waiting.reason = error as Error;
          this.#connection.close();
          const held = await acquire(this.#client, this.#location, this.#range, waiting);
          this.#connection = held.connection;
          this.#holder = held.holder;
        }
      }
    });
  }

  /** @throws {StoreError} STORE_LOCKED if there is another writer of any rows */
  expectAlone(): Promise<void> {
    return this.run(async (send) => {
      const others = await holdersOf(send, this.#location);
      const other = others.find(({ range, isAlive }) => isAlive && fieldOf(range) !== fieldOf(this.#range));
      if (other !== undefined) throw lockedBy(this.#location, other.range);
    });
  }

  /** Where it cannot be told to the server, the end of the connection tells it. */
  async release(): Promise<void> {
    await this.run((send) => send('HDEL', keysOf(this.#location).writers, fieldOf(this.#range))).catch(() => {});
    this.#connection.close();
  }
}

interface Held {
  readonly connection: Connection;
  readonly holder: string;
}

interface Holder {
  readonly range: RowRange;
  readonly isAlive: boolean;
}

const fieldOf = ({ from, to }: RowRange): string => `${from}-${to}`;
const lockedBy = ({ url }: ValkeyLocation, { from, to }: RowRange) =>
  new StoreError('STORE_LOCKED', `${url} has a writer of rows ${from} to ${to} already`, 'Close that writer first.');

/** Connections that one piece of work may lose before it fails. */
const MAX_LOSSES = 3;

/** Nothing is to be done any more of which its caller has been told that it failed. */
function expectWaiting({ isOver, reason }: Waiting): void {
  if (isOver) throw new Error('the time for it is over', { cause: reason });
}

async function acquire(client: ValkeyClient, location: ValkeyLocation, range: RowRange, waiting: Waiting): Promise<Held> {
  const slot = slotOf(keysOf(location).manifest);
  for (let attempt = 0; ; attempt += 1) {
    expectWaiting(waiting);
    let connection: Connection | undefined;
    try {
      const shard = client.topology.shardOf(slot) ?? client.topology.shards[0]!;
      connection = await shard.primary.openConnection();
      const holder = await tryToAcquire(connection, location, range);
      expectWaiting(waiting);
      if (holder !== undefined) return { connection, holder };
      connection.close();
    } catch (error) {
      connection?.close();
      if (error instanceof StoreError) throw error;
      waiting.reason = error as Error;
      await sleep(client.network, Math.min(200, 10 * 2 ** attempt));
      expectWaiting(waiting);
      await client.topology.refresh().catch(() => {});
    }
  }
}

/** @returns undefined if others changed the lock at the same time */
async function tryToAcquire(connection: Connection, location: ValkeyLocation, range: RowRange): Promise<string | undefined> {
  const send: Connection['command'] = (...words) => connection.command(...words);
  const { writers } = keysOf(location);
  await send('WATCH', writers);
  const holders = await holdersOf(send, location);
  for (const other of holders) if (other.isAlive && overlap(other.range, range)) throw lockedBy(location, other.range);
  const holder = `${await runOf(send)} ${String(await send('CLIENT', 'ID'))}`;
  await send('MULTI');
  for (const { range: dead } of holders.filter(({ isAlive }) => !isAlive)) await send('HDEL', writers, fieldOf(dead));
  await send('HSET', writers, fieldOf(range), holder);
  return (await send('EXEC')) === null ? undefined : holder;
}

/** A range without rows counts as one row, so that it has one writer too. */
const overlap = (a: RowRange, b: RowRange): boolean => a.from < Math.max(b.to, b.from + 1) && b.from < Math.max(a.to, a.from + 1);

async function holdersOf(send: Connection['command'], location: ValkeyLocation): Promise<Holder[]> {
  const reply = await send('HGETALL', keysOf(location).writers);
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const run = words.length > 0 ? await runOf(send) : '';
  const holders: Holder[] = [];
  for (let i = 0; i < words.length; i += 2) {
    const [from, to] = words[i]!.split('-').map(Number);
    const [holderRun, client] = words[i + 1]!.split(' ');
    const isAlive = holderRun === run && String(await send('CLIENT', 'LIST', 'ID', client!)).trim() !== '';
    holders.push({ range: { from: from!, to: to! }, isAlive });
  }
  return holders;
}

/** Which run of the server this is: numbers of connections begin anew with each. */
async function runOf(send: Connection['command']): Promise<string> {
  return /run_id:(\w+)/.exec(String(await send('INFO', 'server')))?.[1] ?? '';
}
