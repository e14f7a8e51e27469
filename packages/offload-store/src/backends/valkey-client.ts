/** The servers of a store: whoever asks them something is answered, or told why not, within the deadline. */
import { StoreError } from '../errors.js';
import type { ConnectionOptions } from './valkey-connection.js';
import { Dispatch, type Job, type Waiting } from './valkey-dispatch.js';
import { type Address, type Network, sleep } from './valkey-network.js';
import { ValkeyNode } from './valkey-node.js';
import { type Reply, ReplyError } from './valkey-reply.js';
import { type Shard, Topology } from './valkey-topology.js';

export interface ClientOptions {
  readonly network: Network;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds that a server may take to accept a connection, and to answer a part of what it was sent. Default 2,000. */
  readonly timeoutMs?: number;
  /** Milliseconds until a call fails, whatever it waits for. Default 10,000. */
  readonly deadlineMs?: number;
  /** Bytes under way to or from one server at a time, for one call. Default 1 MiB. */
  readonly windowBytes?: number;
}

/** Of which servers a store is asked. */
export interface Servers {
  readonly seeds: readonly Address[];
  /** Reads are asked of primaries and replicas in turn. */
  readonly spreadsReads: boolean;
}

const RETRY_MS = 50;

export class ValkeyClient {
  readonly topology: Topology;
  readonly network: Network;
  readonly #where: string;
  readonly #connecting: ConnectionOptions;
  readonly #deadlineMs: number;
  readonly #nodes = new Map<string, ValkeyNode>();
  readonly #dispatch: Dispatch;

  /** Connects when it is first asked something. @param where for messages */
  constructor(where: string, { seeds, spreadsReads }: Servers, options: ClientOptions) {
    const { deadlineMs = 10_000, windowBytes = 2 ** 20, timeoutMs = 2000, network, username, password } = options;
    this.#where = where;
    this.network = network;
    this.#connecting = { network, username, password, timeoutMs };
    this.#deadlineMs = deadlineMs;
    const nodeAt = (address: Address) => this.#nodeAt(address);
    this.topology = new Topology(seeds.map(nodeAt), nodeAt);
    this.#dispatch = new Dispatch({ network, topology: this.topology, nodeAt, windowBytes, spreadsReads });
  }

  #nodeAt(address: Address): ValkeyNode {
    const key = `${address.host} ${address.port}`;
    let node = this.#nodes.get(key);
    if (node === undefined) {
      node = new ValkeyNode(address, this.#connecting, () => this.topology.isCluster);
      this.#nodes.set(key, node);
    }
    return node;
  }

  /**
   * Waits for `work` until the deadline, or until the signal. Then `work` is told that nobody waits, and should end. It begins when the servers are known.
   * @throws {StoreError} STORE_IO if none answers, or one refuses the password; STORE_DISK_FULL; what `work` throws of its own; the signal's reason
   */
  within<T>(work: (waiting: Waiting) => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { isOver: false };
      const settle = (end: () => void) => {
        waiting.isOver = true;
        timer.close();
        signal?.removeEventListener('abort', abort);
        end();
      };
      const abort = () => settle(() => reject(signal?.reason));
      const timer = this.network.after(this.#deadlineMs, () => {
        const { reason = new Error('no answer') } = waiting;
        settle(() => reject(this.errorOf(new Error(`${reason.message} (given up after ${this.#deadlineMs} ms)`, { cause: reason }))));
      });
      signal?.addEventListener('abort', abort, { once: true });
      const working = this.topology.isKnown ? work(waiting) : this.topology.refresh().then(() => work(waiting));
      working.then(
        (result) => settle(() => resolve(result)),
        (error: unknown) => settle(() => reject(this.errorOf(error))),
      );
    });
  }

  /** Does all of a job's commands. `take` is not called any more once this has failed. @throws as `within` does; what `take` found wrong */
  each(job: Job, signal?: AbortSignal): Promise<void> {
    return this.within(async (waiting) => {
      await this.#dispatch.do(job, waiting);
      const rest = job.rest?.();
      if (rest !== undefined) await this.#dispatch.do(rest, waiting);
    }, signal);
  }

  /** One command on a key. @throws as `each` does */
  async command(isRead: boolean, slot: number, ...words: readonly (string | Uint8Array)[]): Promise<Exclude<Reply, ReplyError>> {
    let answer: Exclude<Reply, ReplyError> = null;
    await this.each({
      count: 1,
      isRead,
      commandBytes: words.reduce((sum, { length }) => sum + length + 16, 16),
      answerBytes: 64,
      slotOf: () => slot,
      encode: (_, into) => into.command(words),
      take: (_, reply) => {
        answer = Buffer.isBuffer(reply) ? Buffer.from(reply) : reply;
        return undefined;
      },
    });
    return answer;
  }

  /** Gives replicas the time to have what their primaries have; goes on without those that do not answer. */
  async settle(): Promise<void> {
    const waitMs = String(Math.floor(this.#connecting.timeoutMs / 2));
    const shards = this.topology.shards.filter(({ replicas }) => replicas.length > 0);
    const wait = async ({ primary, replicas }: Shard, waiting: Waiting): Promise<void> => {
      while (!waiting.isOver) {
        try {
          await (await primary.connect()).command('WAIT', String(replicas.length), waitMs);
          return;
        } catch (error) {
          if (error instanceof ReplyError) return; // it has no replicas any more
          await sleep(this.network, RETRY_MS);
        }
      }
    };
    await Promise.allSettled(shards.map((shard) => this.within((waiting) => wait(shard, waiting))));
  }

  /** What went wrong, as an error that names the store. */
  errorOf(error: unknown): unknown {
    if (error instanceof StoreError || !(error instanceof Error)) return error;
    const message = `${this.#where}: ${error.message}`;
    const kind = error instanceof ReplyError ? error.kind : '';
    if (kind === 'OOM') return new StoreError('STORE_DISK_FULL', message, 'Give the servers more memory (maxmemory).', error);
    const isRefused = ['NOAUTH', 'WRONGPASS', 'NOPERM'].includes(kind);
    const remedy = isRefused ? 'Set VALKEY_PASSWORD, and VALKEY_USERNAME if there is one.' : 'Check the servers and the network.';
    return new StoreError('STORE_IO', message, remedy, error);
  }

  stats(): Readonly<Record<string, number>> {
    const nodes = [...this.#nodes.values()];
    return {
      connections: nodes.reduce((sum, { connections }) => sum + connections, 0),
      bytesReceived: nodes.reduce((sum, { received }) => sum + received, 0),
      retries: this.#dispatch.retries,
      redirects: this.#dispatch.redirects,
      serversDown: nodes.filter(({ isUp }) => !isUp).length,
    };
  }

  close(): void {
    for (const node of this.#nodes.values()) node.close();
  }
}
