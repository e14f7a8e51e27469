/**
 * Brings many commands to the servers that have their keys' slots: pipelined by the hundred, at all servers at once, and tried again elsewhere or
 * later where a failure may pass, until all are done or nobody waits any more.
 */
import { CommandBuffer } from './valkey-commands.js';
import { type Address, type Network, sleep } from './valkey-network.js';
import type { ValkeyNode } from './valkey-node.js';
import { type Reply, ReplyError } from './valkey-reply.js';
import type { Shard, Topology } from './valkey-topology.js';

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
  /** Hears of a command whose keys are on two servers for a while, as their slot moves. It counts as done. */
  split?(index: number): void;
  /** What is to be done then in the place of commands that were split. */
  rest?(): Job | undefined;
}

/** Somebody who waits for work to end. */
export interface Waiting {
  /** He does not any more: nothing is to be sent or taken for him. */
  isOver: boolean;
  /** Why the work has not ended yet. */
  reason?: Error;
}

/** Where a command goes that its slot's server did not answer. */
interface Retry {
  readonly index: number;
  readonly reason: Error;
  readonly redirect?: { readonly node: ValkeyNode; readonly isAsk: boolean };
  /** A wrong answer: the primary has the last word. */
  readonly isWrong?: boolean;
}

/** Commands for one server. */
interface Group {
  readonly indices: number[];
  isAsk: boolean;
}

/** What a round of sending has left to do. */
interface Left {
  readonly retries: Retry[];
  readonly wrong: Retry[];
}

export interface DispatchOptions {
  readonly network: Network;
  readonly topology: Topology;
  readonly nodeAt: (address: Address) => ValkeyNode;
  /** Bytes under way to or from one server at a time, for one call. */
  readonly windowBytes: number;
  /** Reads are asked of primaries and replicas in turn. */
  readonly spreadsReads: boolean;
}

const PAUSES_MS = [0, 10, 25, 50, 100, 200];
/** An answer that is wrong in itself, such as a row that is not there, is asked for this often. */
const MAX_WRONG_ANSWERS = 2;
const MAX_FREE = 8;
const ASKING = Buffer.from('*1\r\n$6\r\nASKING\r\n');

export class Dispatch {
  retries = 0;
  redirects = 0;
  readonly #options: DispatchOptions;
  /** Buffers of commands that were answered, to be filled again. */
  readonly #free: CommandBuffer[] = [];
  #turn = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** Does all of a job's commands, while somebody waits. @throws {Error} what `take` found wrong, at last; {ReplyError} what a server refuses for good */
  async do(job: Job, waiting: Waiting): Promise<void> {
    const { network, topology } = this.#options;
    let groups = this.#groupAll(job);
    for (let [round, wrongAnswers] = [0, 0]; !waiting.isOver; round += 1) {
      const left: Left = { retries: [], wrong: [] };
      await Promise.all([...groups].map(([node, group]) => this.#send(job, waiting, node, group, left)));
      const retries = [...left.retries, ...left.wrong];
      if (retries.length === 0) return;
      if (left.wrong.length > 0) wrongAnswers += 1;
      if (wrongAnswers === MAX_WRONG_ANSWERS) throw left.wrong[0]!.reason;
      waiting.reason = retries[0]!.reason;
      this.retries += retries.length;
      const isOnTheMove = retries.every(({ redirect }) => redirect?.isAsk === true);
      if (!isOnTheMove || round > 0) await sleep(network, PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)]!);
      if (!isOnTheMove && !waiting.isOver) await topology.refresh().catch(() => {}); // the next round finds out who answers
      groups = this.#groupAgain(job, retries);
    }
  }

  #groupAll({ count, slotOf, isRead }: Job): Map<ValkeyNode, Group> {
    this.#turn += 1;
    const groups = new Map<ValkeyNode, Group>();
    for (let index = 0; index < count; index += 1) groupAt(groups, this.#pick(slotOf(index), isRead)).indices.push(index);
    return groups;
  }

  /** A redirected command goes where it was told, once; all others to whoever has their slot by now. */
  #groupAgain({ slotOf, isRead }: Job, retries: readonly Retry[]): Map<ValkeyNode, Group> {
    this.#turn += 1;
    const groups = new Map<ValkeyNode, Group>();
    for (const { index, redirect, isWrong = false } of retries) {
      const group = groupAt(groups, redirect?.node.isUp === true ? redirect.node : this.#pick(slotOf(index), isRead && !isWrong));
      group.indices.push(index);
      group.isAsk ||= redirect?.isAsk === true; // said of a slot that has not moved, it does no harm
    }
    return groups;
  }

  #pick(slot: number, isRead: boolean): ValkeyNode {
    const { topology, spreadsReads } = this.#options;
    const shard: Shard = topology.shardOf(slot) ?? topology.shards[0]!; // a slot that nobody has: any server says what is the matter
    const { primary, replicas } = shard;
    if (!isRead || replicas.length === 0) return primary;
    const all = [primary, ...replicas];
    const first = spreadsReads ? this.#turn % all.length : 0;
    for (let i = 0; i < all.length; i += 1) {
      const node = all[(first + i) % all.length]!;
      if (node.isUp) return node;
    }
    return primary;
  }

  /** The commands of one server, a window at a time. */
  async #send(job: Job, waiting: Waiting, node: ValkeyNode, { indices, isAsk }: Group, left: Left): Promise<void> {
    const step = Math.max(1, Math.floor(this.#options.windowBytes / (2 * (job.commandBytes + job.answerBytes))));
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
          if (!waiting.isOver) this.#take(job, indices[i]!, reply, left);
        },
      });
      commands.clear(); // all was sent, since all was answered
      if (this.#free.length < MAX_FREE) this.#free.push(commands);
    };
    try {
      // Two parts under way: while one is answered, the server has the next.
      let under: Promise<void> = Promise.resolve();
      for (let start = 0; start < indices.length && !waiting.isOver; start += step) {
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
        if (answered[i] === 0) left.retries.push({ index, reason: named });
      });
    }
  }

  #take(job: Job, index: number, reply: Reply, { retries, wrong }: Left): void {
    if (!(reply instanceof ReplyError)) {
      const reason = job.take(index, reply);
      if (reason !== undefined) wrong.push({ index, reason, isWrong: true });
      return;
    }
    const [kind, , target] = reply.message.split(' ');
    if ((kind === 'MOVED' || kind === 'ASK') && target !== undefined) {
      this.redirects += 1;
      const colon = target.lastIndexOf(':');
      const address = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
      retries.push({ index, reason: reply, redirect: { node: this.#options.nodeAt(address), isAsk: kind === 'ASK' } });
    } else if (kind === 'TRYAGAIN' && job.split !== undefined) job.split(index);
    else if (isPassing(reply)) retries.push({ index, reason: reply });
    else wrong.push({ index, reason: reply, isWrong: true });
  }
}

function groupAt(groups: Map<ValkeyNode, Group>, node: ValkeyNode): Group {
  let group = groups.get(node);
  if (group === undefined) {
    group = { indices: [], isAsk: false };
    groups.set(node, group);
  }
  return group;
}

/** A server that is loading, failing over or moving slots will answer later, or another will. */
const isPassing = ({ kind }: ReplyError): boolean =>
  ['TRYAGAIN', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'BUSY', 'NOREPLICAS', 'READONLY', 'UNBLOCKED'].includes(kind);
