/**
 * A journal of what a writer does to a folder, from which the states are built that a disk may be in after the power fails.
 * [Pillai et al. 2014, "All File Systems Are Not Created Equal"]
 *
 * What is promised is only what POSIX promises: a file's bytes and length once it was synced, a name once its folder was synced.
 * Everything since may or may not be on the disk: each sector of 512 bytes and each length by itself; names of one folder in
 * their order, those of different folders each at their own pace. A rename is one step.
 */
import path from 'node:path';
import { observe, real } from './calls.mjs';

const sectorBytes = 512;

/**
 * @typedef {{ type: 'folder', entries: Map<string, number> } | { type: 'file', data: Buffer } | { type: 'link', target: string }} Node
 * @typedef {{ folder: number, name: string, node: number | undefined }} Entry undefined: the name is gone
 */
/**
 * @typedef {| { kind: 'sector', node: number, at: number, data: Buffer }
 *  | { kind: 'length', node: number, bytes: number }
 *  | { kind: 'names', entries: Entry[] }
 *  | { kind: 'sync', node: number, upTo: number }} Event `upTo`: what happened before event `upTo` is on the disk
 */

/** Records what happens in `root` until `stop` is called. */
export class DiskJournal {
  /** @type {Event[]} */
  events = [];
  /** The first state of every node; later states follow from the events. @type {Map<number, Node>} */
  first = new Map();
  /** @type {Map<number, Node>} */
  #now = new Map();
  /** @type {Map<bigint, number>} */
  #nodeOf = new Map();
  #nodes = 0;
  /** Where each sync that is at work began. @type {{ node: number, upTo: number, fd: number }[]} */
  #syncing = [];
  #root;
  rootNode;
  stop;

  /** @param {string} root */
  constructor(root) {
    this.#root = root;
    this.rootNode = this.#scan([]);
    for (const [id, node] of this.#now) this.first.set(id, copyOf(node));
    this.events = [];
    this.stop = observe({ root, before: (call) => this.#before(call), after: (call) => this.#after(call) });
  }

  /** @param {import('./calls.mjs').Call} call @returns {undefined} */
  #before({ op, fd }) {
    if ((op !== 'fsync' && op !== 'fdatasync') || fd === undefined) return;
    const node = this.#nodeOf.get(real.fstatSync(fd, { bigint: true }).ino);
    if (node !== undefined) this.#syncing.push({ node, upTo: this.events.length, fd });
  }

  /** @param {import('./calls.mjs').Call} call */
  #after({ op, fd, writes }) {
    if (op === 'fsync' || op === 'fdatasync') {
      const started = this.#syncing.findIndex((sync) => sync.fd === fd);
      if (started === -1) return;
      const [{ node, upTo }] = this.#syncing.splice(started, 1);
      this.events.push({ kind: 'sync', node, upTo });
    } else if (writes) {
      /** @type {Entry[]} */
      const names = [];
      this.#scan(names);
      if (op === 'rename') this.events.push({ kind: 'names', entries: names });
      else for (const entry of names) this.events.push({ kind: 'names', entries: [entry] });
    }
  }

  /** Compares the folder with what is known, and notes each difference. @param {Entry[]} names changed names are put here @returns {number} the root's node */
  #scan(names) {
    /** @type {Set<bigint>} */
    const seen = new Set();
    const root = this.#visit(this.#root, seen, names);
    // The number of a file that is gone may be given to another file.
    for (const ino of this.#nodeOf.keys()) if (!seen.has(ino)) this.#nodeOf.delete(ino);
    return root;
  }

  /** @param {string} file @param {Set<bigint>} seen @param {Entry[]} names @returns {number} */
  #visit(file, seen, names) {
    const stat = real.lstatSync(file, { bigint: true });
    seen.add(stat.ino);
    let id = this.#nodeOf.get(stat.ino);
    if (id === undefined) {
      id = this.#nodes;
      this.#nodes += 1;
      this.#nodeOf.set(stat.ino, id);
      /** @type {Node} */
      const fresh = stat.isDirectory()
        ? { type: 'folder', entries: new Map() }
        : stat.isSymbolicLink()
          ? { type: 'link', target: real.readlinkSync(file) }
          : { type: 'file', data: Buffer.alloc(0) };
      this.#now.set(id, fresh);
      this.first.set(id, copyOf(fresh));
    }
    const node = /** @type {Node} */ (this.#now.get(id));
    if (node.type === 'folder') {
      const found = new Set(real.readdirSync(file));
      for (const name of [...node.entries.keys()]) {
        if (found.has(name)) continue;
        node.entries.delete(name);
        names.push({ folder: id, name, node: undefined });
      }
      for (const name of found) {
        const child = this.#visit(path.join(file, name), seen, names);
        if (node.entries.get(name) === child) continue;
        node.entries.set(name, child);
        names.push({ folder: id, name, node: child });
      }
    } else if (node.type === 'file') this.#compare(id, node, real.readFileSync(file));
    return id;
  }

  /** @param {number} id @param {{ data: Buffer }} node @param {Buffer} data */
  #compare(id, node, data) {
    if (data.equals(node.data)) return;
    if (data.length !== node.data.length) this.events.push({ kind: 'length', node: id, bytes: data.length });
    for (let at = 0; at < data.length; at += sectorBytes) {
      const sector = data.subarray(at, at + sectorBytes);
      if (!sector.equals(node.data.subarray(at, at + sectorBytes)))
        this.events.push({ kind: 'sector', node: id, at, data: Buffer.from(sector) });
    }
    node.data = data;
  }
}

/** @param {Node} node @returns {Node} */
function copyOf(node) {
  if (node.type === 'folder') return { type: 'folder', entries: new Map(node.entries) };
  return node.type === 'file' ? { type: 'file', data: node.data } : node;
}

/**
 * Builds in `target`, an empty folder, a state of the disk after the power failed at event `cut`.
 * @param {DiskJournal} journal @param {number} cut @param {string} target
 * @param {{ keepsData: () => boolean, keepsNames: () => boolean }} chance what of the unsynced is on the disk
 */
export function buildDisk(journal, cut, target, { keepsData, keepsNames }) {
  const events = journal.events.slice(0, cut);
  const isDurable = durableOf(events);
  /** @type {Map<number, Node>} */
  const nodes = new Map([...journal.first].map(([id, node]) => [id, copyOf(node)]));
  /** Folders of which a change is lost: no later one is kept. @type {Set<number>} */
  const behind = new Set();
  for (const [index, event] of events.entries()) {
    if (event.kind === 'names') {
      const kept = isDurable[index] || (!event.entries.some(({ folder }) => behind.has(folder)) && keepsNames());
      for (const { folder, name, node } of event.entries) {
        const parent = /** @type {Node} */ (nodes.get(folder));
        if (!kept) behind.add(folder);
        else if (parent.type === 'folder') {
          if (node === undefined) parent.entries.delete(name);
          else parent.entries.set(name, node);
        }
      }
    } else if (event.kind === 'length' || event.kind === 'sector') {
      const file = /** @type {Node} */ (nodes.get(event.node));
      if (file.type !== 'file' || !(isDurable[index] || keepsData())) continue;
      file.data = event.kind === 'length' ? resized(file.data, event.bytes) : overwritten(file.data, event.at, event.data);
    }
  }
  place(nodes, journal.rootNode, target);
}

/** @param {Buffer} data @param {number} bytes */
function resized(data, bytes) {
  return Buffer.concat([data.subarray(0, bytes), Buffer.alloc(Math.max(0, bytes - data.length))]);
}

/** A sector beyond the length that the disk knows of is not seen. @param {Buffer} data @param {number} at @param {Buffer} sector */
function overwritten(data, at, sector) {
  const copy = Buffer.from(data);
  sector.copy(copy, at, 0, Math.max(0, Math.min(sector.length, copy.length - at)));
  return copy;
}

/** Which events are on the disk for certain. @param {Event[]} events @returns {boolean[]} */
function durableOf(events) {
  const durable = events.map(() => false);
  for (const event of events) {
    if (event.kind !== 'sync') continue;
    // A name that is on the disk takes with it what happened before to the folders it concerns.
    const synced = new Set([event.node]);
    for (let index = event.upTo - 1; index >= 0; index -= 1) {
      const earlier = events[index];
      if (earlier.kind === 'names') {
        if (!earlier.entries.some(({ folder }) => synced.has(folder))) continue;
        durable[index] = true;
        for (const { folder } of earlier.entries) synced.add(folder);
      } else if (earlier.kind !== 'sync' && earlier.node === event.node) durable[index] = true;
    }
  }
  return durable;
}

/** @param {Map<number, Node>} nodes @param {number} id @param {string} target */
function place(nodes, id, target) {
  const node = /** @type {Node} */ (nodes.get(id));
  if (node.type === 'file') real.writeFileSync(target, node.data);
  else if (node.type === 'link') real.symlinkSync(node.target, target);
  else {
    real.mkdirSync(target, { recursive: true });
    for (const [name, child] of node.entries) place(nodes, child, path.join(target, name));
  }
}
