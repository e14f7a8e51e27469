/** One Valkey server in memory: the commands that stores use, as a server without a cluster does them. Nothing happens by itself. */
import { Buffer } from 'node:buffer';

/** @typedef {Buffer | Map<string, Buffer>} Value a string or a hash */
/** @typedef {Buffer | string | number | null | Error | readonly unknown[]} Reply an Error is one that the server sends */

/** What a client's connection has told the server. */
export class Session {
  readsReplicas = false;
  /** Of the next command alone. */
  isAsking = false;
  /** @type {Buffer[][] | undefined} commands since MULTI */
  queued;
  /** Keys and what they were when they were watched. @type {Map<string, number>} */
  watched = new Map();
  /** @param {number} id */
  constructor(id) {
    this.id = id;
  }
}

/** The commands that change something; replicas do them again. */
export const WRITES = new Set(['SET', 'DEL', 'UNLINK', 'HSET', 'HDEL', 'EXPIRE']);

export class SimulatedServer {
  /** @type {Map<string, Value>} */
  data = new Map();
  /** How often a key was changed. @type {Map<string, number>} */
  #versions = new Map();
  /** @type {Map<number, Session>} */
  sessions = new Map();
  #nextSession = 1;

  /** @param {{ host: string, port: number }} address */
  constructor(address) {
    this.address = address;
    this.run = 'run1';
  }

  openSession() {
    const session = new Session(this.#nextSession++);
    this.sessions.set(session.id, session);
    return session;
  }

  /** Forgets its connections, as another process would. */
  restart() {
    this.run = `${this.run}1`;
    this.sessions.clear();
  }

  /** @param {Map<string, Value>} data */
  takeData(data) {
    this.data = copyOf(data);
    for (const key of this.#versions.keys()) this.#touch(key);
  }

  /** @param {string} key */
  #touch(key) {
    this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1);
  }

  /** @param {Session} session @param {readonly Buffer[]} words @returns {Reply} */
  do(session, words) {
    const name = String(words[0]).toUpperCase();
    const [key = '', ...rest] = words.slice(1).map(String);
    switch (name) {
      case 'PING':
        return 'PONG';
      case 'READONLY':
        session.readsReplicas = true;
        return 'OK';
      case 'ASKING':
        session.isAsking = true;
        return 'OK';
      case 'INFO':
        return Buffer.from(`# Server\r\nrun_id:${this.run}\r\n`);
      case 'CLIENT':
        if (key.toUpperCase() === 'ID') return session.id;
        return Buffer.from(this.sessions.has(Number(rest[1])) ? `id=${rest[1]}\n` : '');
      case 'WATCH':
        session.watched.set(key, this.#versions.get(key) ?? 0);
        return 'OK';
      default:
        return this.#doOnKey(name, key, rest, words);
    }
  }

  /** @param {string} name @param {string} key @param {string[]} rest @param {readonly Buffer[]} words @returns {Reply} */
  #doOnKey(name, key, rest, words) {
    if (WRITES.has(name)) this.#touch(key);
    const value = this.data.get(key);
    const hash = value instanceof Map ? value : new Map();
    switch (name) {
      case 'GET':
        return Buffer.isBuffer(value) ? value : null;
      case 'MGET':
        return [key, ...rest].map((one) => this.data.get(one) ?? null);
      case 'GETRANGE':
        return Buffer.isBuffer(value) ? value.subarray(Number(rest[0]), Number(rest[1]) + 1) : Buffer.alloc(0);
      case 'STRLEN':
        return Buffer.isBuffer(value) ? value.length : 0;
      case 'SET':
        if (rest[1]?.toUpperCase() === 'NX' && value !== undefined) return null;
        this.data.set(key, Buffer.from(words[2]));
        return 'OK';
      case 'EXPIRE':
        return value === undefined ? 0 : 1; // time does not come that far
      case 'DEL':
      case 'UNLINK':
        return [key, ...rest].filter((one) => this.data.delete(one)).length;
      case 'HGET':
        return hash.get(rest[0]) ?? null;
      case 'HGETALL':
        return [...hash].flatMap(([field, one]) => [Buffer.from(field), one]);
      case 'HSET':
        for (let i = 2; i < words.length; i += 2) hash.set(String(words[i]), Buffer.from(words[i + 1]));
        this.data.set(key, hash);
        return (words.length - 2) / 2;
      case 'HDEL': {
        const count = rest.filter((field) => hash.delete(field)).length;
        if (hash.size === 0) this.data.delete(key);
        return count;
      }
      default:
        return new Error(`ERR unknown command '${name}'`);
    }
  }

  /** Whether a transaction may be done: nothing that it watched has changed. @param {Session} session */
  isUnchanged(session) {
    return [...session.watched].every(([key, version]) => (this.#versions.get(key) ?? 0) === version);
  }
}

/** @param {Map<string, Value>} data @returns {Map<string, Value>} */
export function copyOf(data) {
  return new Map([...data].map(([key, value]) => [key, value instanceof Map ? new Map(value) : value]));
}

/** The keys of a command, none if it is about the server itself. @param {readonly Buffer[]} words @returns {string[]} */
export function keysOf(words) {
  const name = String(words[0]).toUpperCase();
  if (['MGET', 'DEL', 'UNLINK'].includes(name)) return words.slice(1).map(String);
  const isAboutKey = WRITES.has(name) || ['GET', 'GETRANGE', 'STRLEN', 'HGET', 'HGETALL', 'WATCH'].includes(name);
  return isAboutKey ? [String(words[1])] : [];
}

/** @param {readonly unknown[]} replies @returns {Buffer} */
export function encodeReplies(replies) {
  /** @type {Buffer[]} */
  const parts = [];
  let text = '';
  const add = (/** @type {unknown} */ reply) => {
    if (reply === null || reply === undefined) text += '$-1\r\n';
    else if (reply instanceof Error) text += `-${reply.message}\r\n`;
    else if (typeof reply === 'number') text += `:${reply}\r\n`;
    else if (typeof reply === 'string') text += `+${reply}\r\n`;
    else if (Buffer.isBuffer(reply)) {
      parts.push(Buffer.from(`${text}$${reply.length}\r\n`), reply);
      text = '\r\n';
    } else {
      const elements = /** @type {readonly unknown[]} */ (reply);
      text += `*${elements.length}\r\n`;
      for (const element of elements) add(element);
    }
  };
  for (const reply of replies) add(reply);
  return Buffer.concat([...parts, Buffer.from(text)]);
}

/** Takes whole commands off the front. @param {Buffer} bytes @returns {{ commands: Buffer[][], rest: Buffer } | undefined} undefined: no commands */
export function decodeCommands(bytes) {
  /** @type {Buffer[][]} */
  const commands = [];
  let at = 0;
  const line = () => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  for (let start = 0; ; start = at) {
    const head = line();
    if (head === undefined) return { commands, rest: bytes.subarray(start) };
    if (!/^\*[1-9]\d{0,5}$/.test(head)) return undefined;
    /** @type {Buffer[]} */
    const words = [];
    while (words.length < Number(head.slice(1))) {
      const length = line();
      if (length === undefined) return { commands, rest: bytes.subarray(start) };
      if (!/^\$\d{1,7}$/.test(length)) return undefined;
      const end = at + Number(length.slice(1));
      if (bytes.length < end + 2) return { commands, rest: bytes.subarray(start) };
      words.push(bytes.subarray(at, end));
      at = end + 2;
    }
    commands.push(words);
  }
}
