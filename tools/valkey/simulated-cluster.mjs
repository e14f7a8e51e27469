/**
 * A cluster of Valkey servers in memory: slots and their redirections, replicas that are behind, servers that are killed, paused and failed over, slots on
 * the move. What happens when is the caller's choice; as real ones do, a failover loses what the replica had not got.
 */
import { Buffer } from 'node:buffer';
import { copyOf, keysOf, SimulatedServer, WRITES } from './simulated-server.mjs';

const SLOTS = 16_384;
const FAILOVER_MS = 400;

/** @typedef {import('./simulated-server.mjs').Session} Session */
/** @typedef {import('./simulated-server.mjs').Reply} Reply */
/** @typedef {import('./simulated-server.mjs').Value} Value */
/** @typedef {import('../faults/random.mjs').Random} Random */
/** @typedef {import('../faults/virtual-time.mjs').VirtualTime} VirtualTime */
/** @typedef {{ primary: Node, replica: Node | undefined, epoch: number, behind: (() => void)[] }} Shard `behind`: what the replica has not got */

class Node extends SimulatedServer {
  isUp = true;
  pausedUntil = 0;
  /** When a replica has got what it was sent last. */
  behindUntil = 0;
  /** @param {{ host: string, port: number }} address @param {number} shard */
  constructor(address, shard) {
    super(address);
    this.shard = shard;
  }
}

export class SimulatedCluster {
  /** @type {Node[]} */
  nodes = [];
  /** @type {Shard[]} */
  shards = [];
  /** Redirections without reason until then. */
  stormUntil = 0;
  #owner = new Uint8Array(SLOTS);
  /** Slot -> the shard that it moves to. @type {Map<number, number>} */
  #moving = new Map();
  #time;
  #random;

  /** @param {VirtualTime} time @param {Random} random @param {number} shards 0: one server that is no cluster */
  constructor(time, random, shards) {
    this.#time = time;
    this.#random = random;
    this.isCluster = shards > 0;
    for (let shard = 0; shard < Math.max(1, shards); shard += 1) {
      const [primary, replica] = [0, 1].map((i) => new Node({ host: '10.0.0.1', port: 7000 + 2 * shard + i }, shard));
      this.shards.push({ primary, replica: this.isCluster ? replica : undefined, epoch: 0, behind: [] });
      this.nodes.push(primary, ...(this.isCluster ? [replica] : []));
      this.#owner.fill(shard, Math.ceil((SLOTS * shard) / shards), Math.ceil((SLOTS * (shard + 1)) / shards));
    }
  }

  /** What each shard holds. @returns {Map<string, Value>[]} */
  get data() {
    return this.shards.map(({ primary }) => copyOf(primary.data));
  }

  /** @param {readonly Map<string, Value>[]} data by shard */
  takeData(data) {
    this.shards.forEach(({ primary, replica }, i) => {
      primary.takeData(data[i]);
      replica?.takeData(data[i]);
    });
  }

  /** @param {{ host: string, port: number }} address */
  nodeAt({ host, port }) {
    return this.nodes.find(({ address }) => address.host === host && address.port === port);
  }

  /** @param {Node} node @param {Session} session @param {Buffer[]} words @returns {Reply} */
  do(node, session, words) {
    const name = String(words[0]).toUpperCase();
    if (name === 'CLUSTER') return this.#slotsReply();
    if (name === 'MULTI') {
      session.queued = [];
      return 'OK';
    }
    if (name === 'EXEC') return this.#exec(node, session);
    if (name === 'WAIT') return this.#catchUp(node);
    const isAsking = session.isAsking;
    session.isAsking = false;
    const refusal = this.isCluster ? this.#refusalOf(node, session, name, words, isAsking) : undefined;
    if (refusal !== undefined) return new Error(refusal);
    if (session.queued !== undefined) {
      session.queued.push(words);
      return 'QUEUED';
    }
    return this.#change(node, session, name, words);
  }

  /** @param {Node} node @param {Session} session @returns {Reply} */
  #exec(node, session) {
    const { queued = [] } = session;
    session.queued = undefined;
    const isUnchanged = node.isUnchanged(session);
    session.watched.clear();
    if (!isUnchanged) return null;
    return queued.map((words) => this.#change(node, session, String(words[0]).toUpperCase(), words));
  }

  /** Does a command, and has the replica do it later. @param {Node} node @param {Session} session @param {string} name @param {Buffer[]} words */
  #change(node, session, name, words) {
    const reply = node.do(session, words);
    const shard = this.shards[node.shard];
    const { replica, epoch } = shard;
    if (WRITES.has(name) && replica !== undefined) {
      const own = words.map((word) => Buffer.from(word));
      const lag = this.#random.below(20) === 0 ? 300 : 3;
      replica.behindUntil = Math.max(replica.behindUntil, this.#time.now + this.#random.next() * lag);
      const repeat = () => {
        if (shard.epoch === epoch && replica.isUp) replica.do(session, own);
      };
      shard.behind.push(repeat);
      this.#time.after(replica.behindUntil - this.#time.now, () => {
        if (shard.behind[0] === repeat) shard.behind.shift()?.();
      });
    }
    return reply;
  }

  /** The replica has at once what it would have had a little later. @param {Node} node @returns {Reply} */
  #catchUp(node) {
    const { primary, replica, behind } = this.shards[node.shard];
    if (node !== primary) return new Error('ERR WAIT cannot be used with replica instances');
    for (const repeat of behind.splice(0)) repeat();
    return replica?.isUp ? 1 : 0;
  }

  /** Why a server does not do a command, in its words. @param {Node} node @param {Session} session @param {string} name @param {readonly Buffer[]} words @param {boolean} isAsking */
  #refusalOf(node, session, name, words, isAsking) {
    const keys = keysOf(words);
    if (keys.length === 0) return undefined;
    const slot = slotOf(keys[0]);
    if (keys.some((key) => slotOf(key) !== slot)) return "CROSSSLOT Keys in request don't hash to the same slot";
    if (this.#time.now < this.stormUntil && this.#random.below(3) > 0) {
      const { address } = this.nodes[this.#random.below(this.nodes.length)];
      return `${this.#random.below(2) === 0 ? 'MOVED' : 'ASK'} ${slot} ${address.host}:${address.port}`;
    }
    const { primary } = this.shards[node.shard];
    const [owner, target] = [this.#owner[slot], this.#moving.get(slot)];
    const missing = keys.filter((key) => !node.data.has(key)).length;
    const isSplit = keys.length > 1 && missing > 0;
    const again = 'TRYAGAIN Multiple keys request during rehashing of slot';
    if (node.shard === target && node === primary && isAsking) return isSplit ? again : undefined;
    if (owner !== node.shard || (node !== primary && (!session.readsReplicas || WRITES.has(name)))) {
      const { host, port } = this.shards[owner].primary.address;
      return `MOVED ${slot} ${host}:${port}`;
    }
    if (target === undefined || node !== primary || missing === 0) return undefined;
    if (missing < keys.length) return again;
    const { host, port } = this.shards[target].primary.address;
    return `ASK ${slot} ${host}:${port}`;
  }

  /** @returns {Reply} */
  #slotsReply() {
    if (!this.isCluster) return new Error('ERR This instance has cluster support disabled');
    /** @type {unknown[]} */
    const ranges = [];
    const owners = this.#owner;
    for (let from = 0, to = 0; from < SLOTS; from = to) {
      const owner = owners[from];
      while (to < SLOTS && owners[to] === owner) to += 1;
      const { primary, replica } = this.shards[owner];
      const servers = [primary, ...(replica?.isUp ? [replica] : [])].map(({ address }) => [Buffer.from(address.host), address.port]);
      ranges.push([from, to - 1, ...servers]);
    }
    return ranges;
  }

  /** The replica takes the primary's place; what it had not got is lost. @param {number} index of the shard */
  failOver(index) {
    const shard = this.shards[index];
    const { primary, replica } = shard;
    if (replica === undefined || !replica.isUp) return;
    shard.epoch += 1;
    shard.behind = [];
    shard.primary = replica;
    shard.replica = primary;
    primary.takeData(replica.data);
  }

  /** Ends a server whose partner is there; it comes back after `ms`, as a replica if it was failed over. @param {Node} node @param {number} ms */
  kill(node, ms) {
    const { primary, replica } = this.shards[node.shard];
    if (replica === undefined || !primary.isUp || !replica.isUp) return false;
    node.isUp = false;
    node.restart();
    const isPrimary = () => this.shards[node.shard].primary === node;
    if (isPrimary()) this.#time.after(FAILOVER_MS, () => isPrimary() && this.failOver(node.shard));
    this.#time.after(Math.max(ms, FAILOVER_MS + 1), () => {
      node.isUp = true;
      node.takeData(this.shards[node.shard].primary.data);
    });
    return true;
  }

  /** Moves a slot that has keys to another shard: some of them now, the others after `ms`. @param {number} ms */
  moveSlot(ms) {
    const from = this.#random.below(this.shards.length);
    const to = (from + 1) % this.shards.length;
    const keys = [...this.shards[from].primary.data.keys()];
    if (to === from || keys.length === 0) return;
    const slot = slotOf(keys[this.#random.below(keys.length)]);
    if (this.#owner[slot] !== from || this.#moving.has(slot)) return;
    this.#moving.set(slot, to);
    const move = (/** @type {number} */ share) => {
      const { primary, replica } = this.shards[from];
      const target = this.shards[to];
      for (const [key, value] of [...primary.data]) {
        if (slotOf(key) !== slot || this.#random.next() > share) continue;
        for (const node of [target.primary, target.replica]) node?.data.set(key, value);
        for (const node of [primary, replica]) node?.data.delete(key);
      }
    };
    move(0.5);
    this.#time.after(ms, () => {
      move(1);
      this.#moving.delete(slot);
      this.#owner[slot] = to;
    });
  }
}

/** @type {Map<string, number>} */
const slots = new Map();

/** The slot of a key, bit by bit as the specification has it. https://valkey.io/topics/cluster-spec/ @param {string} key */
export function slotOf(key) {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
  let slot = slots.get(tag);
  if (slot === undefined) {
    let crc = 0;
    for (const byte of Buffer.from(tag)) {
      crc ^= byte << 8;
      for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
    slot = crc % SLOTS;
    slots.set(tag, slot);
  }
  return slot;
}
