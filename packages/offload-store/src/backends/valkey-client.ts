/**
 * Many commands on the servers of a store, each at the server that has its key's slot: pipelined by the hundred, at all servers at once, tried
 * again elsewhere or later where a failure may pass, all within one deadline.
 */
import { StoreError } from '../errors.js';
import { CommandBuffer } from './valkey-commands.js';
import type { Address, ConnectionOptions } from './valkey-connection.js';
import { ValkeyNode } from './valkey-node.js';
import { type Reply, ReplyError } from './valkey-reply.js';
import { type Shard, Topology } from './valkey-topology.js';

export interface ClientOptions extends Partial<Omit<ConnectionOptions, 'tls'>> {
  /** Milliseconds until a call fails, whatever it waits for. Default 10,000. */
  readonly deadlineMs?: number;
  /** Bytes under way to or from one server at a time, for one call. Default 1 MiB. */
  readonly windowBytes?: number;
}

/** Commands of one kind on keys of their own. */
export interface Job {
  readonly count: number;
  /** Replicas may answer: always where the primary does not, and in turn with it if the client was told so. */
  readonly isRead: boolean;
  /** Of a command, about, and of its answer. */
  readonly commandBytes: number;
  readonly answerBytes: number;
  slotOf(index: number): number;
  encode(index: number, into: CommandBuffer): void;
  /** Gets an answer; bytes are only there during the call. @returns what is wrong with it: another server is asked then, and at last this is thrown */
  take(index: number, reply: Exclude<Reply, ReplyError>): Error | undefined;
  /** Hears of a command whose keys are on two servers for a while, as their slot moves. It counts as done: its keys are to be asked for one by one. */
  split?(index: number): void;
}

/** Where a command goes that its slot's server did not answer. */
interface Retry {
  readonly index: number;
  readonly reason: Error;
  readonly redirect?: { readonly node: ValkeyNode; readonly isAsk: boolean };
  /** A wrong answer: the primary has the last word. */
  readonly isWrong?: boolean;
}

const PAUSES_MS = [0, 10, 25, 50, 100, 200];
/** An answer that is wrong in itself, such as a row that is not there, is asked for this often. */
const MAX_WRONG_ANSWERS = 2;
const MAX_FREE = 8;
const ASKING = Buffer.from('*1\r\n$6\r\nASKING\r\n');

export class ValkeyClient {
  readonly topology: Topology;
  readonly #where: string;
  readonly #connecting: ConnectionOptions;
  readonly deadlineMs: number;
  readonly #windowBytes: number;
  readonly #spreadsReads: boolean;
  readonly #nodes = new Map<string, ValkeyNode>();
  /** Buffers of commands that were answered, to be filled again. */
  readonly #free: CommandBuffer[] = [];
  #turn = 0;
  #retries = 0;
  #redirects = 0;

  /** @param where for messages @param spreadsReads reads are asked of primaries and replicas in turn */
  private constructor(where: string, seeds: readonly Address[], tls: boolean, spreadsReads: boolean, options: ClientOptions) {
    const { deadlineMs = 10_000, windowBytes = 2 ** 20, timeoutMs = 2000, ca, username, password } = options;
    this.#where = where;
    this.#connecting = { tls, ca, username, password, timeoutMs };
    this.deadlineMs = deadlineMs;
    this.#windowBytes = windowBytes;
    this.#spreadsReads = spreadsReads;
    const nodeAt = (address: Address) => this.#nodeAt(address);
    this.topology = new Topology(seeds.map(nodeAt), nodeAt);
  }

  /** @throws {StoreError} STORE_IO if no server answers, or refuses the password */
  static async open(
    where: string,
    { seeds, tls, spreadsReads }: { readonly seeds: readonly Address[]; readonly tls: boolean; readonly spreadsReads: boolean },
    options: ClientOptions,
  ): Promise<ValkeyClient> {
    const client = new ValkeyClient(where, seeds, tls, spreadsReads, options);
    try {
      await client.topology.refresh();
      return client;
    } catch (error) {
      client.close();
      throw client.errorOf(error);
    }
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
   * Does all of a job's commands.
   * @throws {StoreError} STORE_IO within the deadline, STORE_DISK_FULL; what `take` found wrong; the signal's reason. `take` is not called any more then.
   */
  each(job: Job, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const run = { isOver: false, lastReason: undefined as Error | undefined };
      const settle = (end: () => void) => {
        run.isOver = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        end();
      };
      const abort = () => settle(() => reject(signal?.reason));
      const timer = setTimeout(() => {
        const reason = run.lastReason ?? new Error('no answer');
        settle(() => reject(this.errorOf(new Error(`${reason.message} (given up after ${this.deadlineMs} ms)`, { cause: reason }))));
      }, this.deadlineMs);
      signal?.addEventListener('abort', abort, { once: true });
      this.#rounds(job, run).then(
        () => settle(resolve),
        (error: unknown) => settle(() => reject(this.errorOf(error))),
      );
    });
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
    const wait = async ({ primary, replicas }: Shard) => (await primary.connect()).command('WAIT', String(replicas.length), waitMs);
    await Promise.allSettled(shards.map(wait));
  }

  async #rounds(job: Job, run: { isOver: boolean; lastReason: Error | undefined }): Promise<void> {
    let retries: readonly Retry[] = [];
    let wrongAnswers = 0;
    for (let round = 0; !run.isOver; round += 1) {
      const left: Retry[] = [];
      const wrong: Retry[] = [];
      const groups = round === 0 ? this.#groupAll(job) : this.#groupAgain(job, retries);
      await Promise.all([...groups].map(([node, group]) => this.#send(job, run, node, group, left, wrong)));
      if (left.length === 0 && wrong.length === 0) return;
      if (wrong.length > 0) wrongAnswers += 1;
      if (wrongAnswers === MAX_WRONG_ANSWERS) throw wrong[0]!.reason;
      retries = [...left, ...wrong];
      run.lastReason = retries[0]!.reason;
      this.#retries += retries.length;
      if (retries.every(({ redirect }) => redirect?.isAsk === true)) continue;
      await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)]));
      if (!run.isOver) await this.topology.refresh().catch(() => {}); // the next round finds out who answers
    }
  }

  #groupAll({ count, slotOf, isRead }: Job): Map<ValkeyNode, Group> {
    this.#turn += 1;
    const groups = new Map<ValkeyNode, Group>();
    for (let index = 0; index < count; index += 1) {
      const node = this.#pick(this.topology.shardOf(slotOf(index)), isRead);
      const group = groups.get(node);
      if (group === undefined) groups.set(node, { indices: [index], isAsk: false });
      else group.indices.push(index);
    }
    return groups;
  }

  /** A redirected command goes where it was told, once; all others to whoever has their slot by now. */
  #groupAgain({ slotOf, isRead }: Job, retries: readonly Retry[]): Map<ValkeyNode, Group> {
    this.#turn += 1;
    const groups = new Map<ValkeyNode, Group>();
    for (const { index, redirect, isWrong = false } of retries) {
      const node = redirect?.node.isUp === true ? redirect.node : this.#pick(this.topology.shardOf(slotOf(index)), isRead && !isWrong);
      const group = groups.get(node) ?? { indices: [], isAsk: false };
      group.indices.push(index);
      group.isAsk ||= redirect?.isAsk === true; // said of a slot that has not moved, it does no harm
      groups.set(node, group);
    }
    return groups;
  }

  #pick(shard: Shard | undefined, isRead: boolean): ValkeyNode {
    const { primary, replicas } = shard ?? this.topology.shards[0]!; // a slot that nobody has: any server says what is the matter
    if (!isRead || replicas.length === 0) return primary;
    const all = [primary, ...replicas];
    const first = this.#spreadsReads ? this.#turn % all.length : 0;
    for (let i = 0; i < all.length; i += 1) {
      const node = all[(first + i) % all.length]!;
      if (node.isUp) return node;
    }
    return primary;
  }

  /** The commands of one server, a window at a time. */
  async #send(
    job: Job,
    run: { readonly isOver: boolean },
    node: ValkeyNode,
    { indices, isAsk }: Group,
    left: Retry[],
    wrong: Retry[],
  ): Promise<void> {
    const step = Math.max(1, Math.floor(this.#windowBytes / (2 * (job.commandBytes + job.answerBytes))));
    const answered = new Uint8Array(indices.length);
    const sendPart = async (start: number) => {
      const count = Math.min(step, indices.length - start);
      const commands = this.#free.pop() ?? new CommandBuffer(count * job.commandBytes);
      for (let i = start; i < start + count; i += 1) {
        if (isAsk) commands.raw(ASKING);
        job.encode(indices[i]!, commands);
      }
      await node.send({
        commands: commands.bytes,
        count: isAsk ? 2 * count : count,
        take: (at, reply) => {
          if (isAsk && at % 2 === 0) return;
          const i = start + (isAsk ? at >> 1 : at);
          answered[i] = 1;
          if (!run.isOver) this.#take(job, indices[i]!, reply, left, wrong);
        },
      });
      commands.clear(); // all was sent, since all was answered
      if (this.#free.length < MAX_FREE) this.#free.push(commands);
    };
    try {
      // Two parts under way: while one is answered, the server has the next.
      let under: Promise<void> = Promise.resolve();
      for (let start = 0; start < indices.length && !run.isOver; start += step) {
        const part = sendPart(start);
        part.catch(() => {});
        await under;
        under = part;
      }
      await under;
    } catch (error) {
      const reason = error instanceof Error ? error : new Error(String(error));
      if (reason instanceof ReplyError && !isPassing(reason)) throw reason; // refused while connecting
      const { host, port } = node.address;
      const named = new Error(`${host}:${port}: ${reason.message}`, { cause: reason });
      indices.forEach((index, i) => {
        if (answered[i] === 0) left.push({ index, reason: named });
      });
    }
  }

  #take(job: Job, index: number, reply: Reply, left: Retry[], wrong: Retry[]): void {
    if (!(reply instanceof ReplyError)) {
      const reason = job.take(index, reply);
      if (reason !== undefined) wrong.push({ index, reason, isWrong: true });
      return;
    }
    const [kind, , target] = reply.message.split(' ');
    if ((kind === 'MOVED' || kind === 'ASK') && target !== undefined) {
      this.#redirects += 1;
      const colon = target.lastIndexOf(':');
      const address = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
      left.push({ index, reason: reply, redirect: { node: this.#nodeAt(address), isAsk: kind === 'ASK' } });
    } else if (kind === 'TRYAGAIN' && job.split !== undefined) job.split(index);
    else if (isPassing(reply)) left.push({ index, reason: reply });
    else wrong.push({ index, reason: reply, isWrong: true });
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
      retries: this.#retries,
      redirects: this.#redirects,
      serversDown: nodes.filter(({ isUp }) => !isUp).length,
    };
  }

  close(): void {
    for (const node of this.#nodes.values()) node.close();
  }
}

interface Group {
  readonly indices: number[];
  isAsk: boolean;
}

/** A server that is loading, failing over or moving slots will answer later, or another will. */
const isPassing = ({ kind }: ReplyError): boolean =>
  ['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'BUSY', 'NOREPLICAS', 'READONLY', 'UNBLOCKED'].includes(kind);
