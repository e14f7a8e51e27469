/** Streams to the servers of a simulated cluster, whose bytes are late, lost, cut, repeated, out of order or something else, as the seed has it. */
import { Buffer } from 'node:buffer';
import { decodeCommands, encodeReplies } from './simulated-server.mjs';

/**
 * @typedef {object} Temper one in so many, 0 for never
 * @property {number} answers of all answers are disturbed
 * @property {number} requests likewise
 * @property {number} connecting of all connections are not made
 * @property {boolean} isTcp only what TCP lets happen: late, or cut off
 */
/** @typedef {{ opened(): void, space(): Buffer, received(count: number): void, closed(reason: Error): void }} Listener */
/** @typedef {import('./simulated-cluster.mjs').SimulatedCluster} SimulatedCluster */
/** @typedef {import('./simulated-server.mjs').Session} Session */

const LATENCY_MS = 1;
const LATE_MS = 3000;
const FOREIGN = [
  'HTTP/1.1 400 Bad Request\r\n\r\n',
  '$99999999999\r\n',
  '*3\r\n*3\r\n*3\r\n',
  '-MOVED 1 10.0.0.9:1\r\n',
  '+OK\r\n',
  '\0\0\0\0',
];

export class SimulatedNetwork {
  /** Everything works. @type {Temper} */
  static CALM = { answers: 0, requests: 0, connecting: 0, isTcp: true };
  temper = SimulatedNetwork.CALM;

  /** @param {import('../faults/virtual-time.mjs').VirtualTime} time @param {import('../faults/random.mjs').Random} random @param {SimulatedCluster} cluster */
  constructor(time, random, cluster) {
    this.time = time;
    this.random = random;
    this.cluster = cluster;
  }

  now() {
    return this.time.now;
  }

  /** @param {number} ms @param {() => void} work */
  after(ms, work) {
    return this.time.after(ms, work);
  }

  /** @param {{ host: string, port: number }} address @param {Listener} listener */
  connect(address, listener) {
    return new Link(this, address, listener);
  }

  /** @param {number} oneIn */
  happens(oneIn) {
    return oneIn > 0 && this.random.below(oneIn) === 0;
  }
}

/** One direction of a link: what was sent before comes before. */
class Direction {
  #free = 0;
  /** @type {Buffer | undefined} comes after the next */
  #held;

  /** @param {SimulatedNetwork} network @param {(bytes: Buffer) => void} deliver @param {() => void} cut */
  constructor(network, deliver, cut) {
    this.network = network;
    this.deliver = deliver;
    this.cut = cut;
  }

  /** @param {Buffer} bytes its own @param {number} oneIn are disturbed */
  send(bytes, oneIn) {
    const { network } = this;
    const { random, temper } = network;
    if (!network.happens(oneIn)) return this.#pass(bytes);
    const at = random.below(bytes.length);
    switch (random.below(temper.isTcp ? 4 : 11)) {
      case 0:
        return this.#pass(bytes, random.next() * LATE_MS);
      case 1:
        return this.#pass(bytes.subarray(0, at), 0, this.cut);
      case 2:
        return this.#pass(Buffer.alloc(0), 0, this.cut);
      case 3:
        return this.#pass(bytes, LATE_MS * 4); // as good as never
      case 4:
        return undefined; // lost
      case 5:
        return this.#pass(bytes.subarray(0, at));
      case 6:
        this.#pass(bytes);
        return this.#pass(Buffer.from(bytes));
      case 7:
        this.#held = bytes;
        return undefined;
      case 8:
        bytes[at] ^= 1 << random.below(8);
        return this.#pass(bytes);
      case 9:
        for (let i = at; i < bytes.length; i += 1) bytes[i] = random.below(256);
        return this.#pass(bytes);
      default:
        return this.#pass(Buffer.from(FOREIGN[random.below(FOREIGN.length)]));
    }
  }

  /** @param {Buffer} bytes @param {number} [lateMs] @param {() => void} [then] */
  #pass(bytes, lateMs = 0, then = () => {}) {
    const { time, random } = this.network;
    this.#free = Math.max(this.#free, time.now + random.next() * LATENCY_MS) + lateMs;
    const held = this.#held;
    this.#held = undefined;
    time.after(this.#free - time.now, () => {
      if (bytes.length > 0) this.deliver(bytes);
      if (held !== undefined) this.deliver(held);
      then();
    });
  }
}

/** A connection, with what the server knows of it. */
class Link {
  /** @type {Session | undefined} */
  #session;
  #isClosed = false;
  #unread = Buffer.alloc(0);

  /** @param {SimulatedNetwork} network @param {{ host: string, port: number }} address @param {Listener} listener */
  constructor(network, address, listener) {
    this.network = network;
    this.listener = listener;
    const cut = () => this.#end(new Error('read ECONNRESET'));
    this.requests = new Direction(network, (bytes) => this.#arrive(bytes), cut);
    this.answers = new Direction(network, (bytes) => this.#deliver(bytes), cut);
    const { time, random, cluster } = network;
    if (network.happens(network.temper.connecting)) {
      if (random.below(2) === 0) time.after(random.next() * LATE_MS, () => this.#end(new Error('connect EHOSTUNREACH')));
      return;
    }
    this.node = cluster.nodeAt(address);
    time.after(random.next() * LATENCY_MS, () => {
      if (this.#isClosed) return;
      if (this.node?.isUp !== true) return this.#end(new Error('connect ECONNREFUSED'));
      this.#session = this.node.openSession();
      listener.opened();
    });
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    this.requests.send(Buffer.from(bytes), this.network.temper.requests);
  }

  close() {
    this.#isClosed = true;
    const [node, session] = [this.node, this.#session];
    if (node !== undefined && session !== undefined) this.network.time.after(LATENCY_MS, () => node.sessions.delete(session.id));
  }

  /** @param {Error} reason */
  #end(reason) {
    if (this.#isClosed) return;
    this.close();
    this.listener.closed(reason);
  }

  /** At the server. @param {Buffer} bytes */
  #arrive(bytes) {
    const { node } = this;
    const session = this.#session;
    if (this.#isClosed || node === undefined || session === undefined) return;
    const { time, cluster, temper } = this.network;
    if (!node.isUp || node.sessions.get(session.id) !== session) return this.#end(new Error('read ECONNRESET'));
    if (time.now < node.pausedUntil) return void time.after(node.pausedUntil - time.now, () => this.#arrive(bytes));
    const read = decodeCommands(Buffer.concat([this.#unread, bytes]));
    if (read === undefined) {
      this.answers.send(Buffer.from('-ERR Protocol error\r\n'), 0);
      return this.#end(new Error('read ECONNRESET'));
    }
    this.#unread = Buffer.from(read.rest);
    if (read.commands.length === 0) return;
    const answer = encodeReplies(read.commands.map((words) => cluster.do(node, session, words)));
    for (let at = 0, end = 0; at < answer.length; at = end) {
      end = this.network.random.below(3) === 0 ? at + 1 + this.network.random.below(answer.length - at) : answer.length;
      this.answers.send(Buffer.from(answer.subarray(at, end)), temper.answers);
    }
  }

  /** At the client. @param {Buffer} bytes */
  #deliver(bytes) {
    for (let at = 0; at < bytes.length && !this.#isClosed; ) {
      const count = bytes.copy(this.listener.space(), 0, at);
      at += count;
      this.listener.received(count);
    }
  }
}
