/**
 * Where a store lives among a server's keys. Each row is a key of its own, {TAG}NAME:GENERATION:ID; its value is the row's bytes and their CRC-32, begun
 * with generation and id: an answer that belongs elsewhere, or was damaged, is never taken for the row. A key is written once, or again with the same
 * bytes; so a replica that is behind can only lack it. The tag is that of the row's group, and groups are spread evenly over the slots: few enough that
 * one command reads several rows of a batch, enough to be shared out among servers. (Several rows in one value, read by parts, were no faster.)
 * What is about the whole store has the tag {NAME}, one slot: {NAME}:manifest (which generation is published), :unfinished, :writers, :replaced and
 * :retired.
 */
import { crc32 } from 'node:zlib';
import { StoreArgumentError } from '../errors.js';
import type { CommandBuffer } from './valkey-commands.js';
import type { Address } from './valkey-network.js';
import { SLOTS, slotOf } from './valkey-topology.js';

const DEFAULT_PORT = 6379;
const DEFAULT_KEEP_S = 600;

export interface ValkeyLocation {
  readonly url: string;
  readonly seeds: readonly Address[];
  readonly name: string;
  /** Reads are asked of replicas and primaries in turn. */
  readonly spreadsReads: boolean;
  /** Seconds that a store's rows stay for its readers when another is published in its place. */
  readonly keepS: number;
}

/** @param location `//HOST:PORT,HOST:PORT/NAME?replicas=yes&keep=SECONDS` @throws {StoreArgumentError} */
export function parseLocation(scheme: string, location: string): ValkeyLocation {
  const url = `${scheme}:${location}`;
  const wrong = (what: string) =>
    new StoreArgumentError(`${url}: ${what}`, `Write ${scheme}://HOST:PORT/NAME, with several HOST:PORT, for a cluster.`);
  const [, hosts, name, query] = /^\/\/([^/?@\s]+)\/([^?{}\s]+)(?:\?(.*))?$/.exec(location) ?? [];
  if (hosts === undefined || name === undefined) throw wrong('is no address of a store');
  const seeds = hosts.split(',').map((part): Address => {
    const [, host, port = String(DEFAULT_PORT)] = /^(\[[0-9a-f:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(part) ?? [];
    if (host === undefined) throw wrong(`${JSON.stringify(part)} is no server`);
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  });
  const options = new URLSearchParams(query);
  for (const key of options.keys()) if (key !== 'replicas' && key !== 'keep') throw wrong(`there is no option ${key}`);
  const [replicas, keep] = [options.get('replicas') ?? 'no', options.get('keep') ?? String(DEFAULT_KEEP_S)];
  if (replicas !== 'yes' && replicas !== 'no') throw wrong(`replicas is ${replicas}, expected yes or no`);
  if (!/^\d{1,9}$/.test(keep)) throw wrong(`keep is ${keep}, expected seconds`);
  return { url, seeds, name, spreadsReads: replicas === 'yes', keepS: Number(keep) };
}

/** Bytes after a row: its CRC-32. */
export const TRAILER_BYTES = 4;
/** What CRC-32 becomes over any bytes and their own CRC-32, however it was begun. */
const RESIDUE = 0x2144df1c;

/** Bytes of rows in a group, about: what a server has to move at once when slots are shared out anew. */
const GROUP_BYTES = 2 ** 28;
const [MIN_GROUPS, MAX_GROUPS] = [64, 1024];

export const groupsFor = (rows: number, rowBytes: number): number =>
  Math.min(MAX_GROUPS, Math.max(MIN_GROUPS, 2 ** Math.ceil(Math.log2((rows * rowBytes) / GROUP_BYTES + 1))));

/** A tag for each group whose slot lies in the group's part of all slots. */
function tagsOf(groups: number): string[] {
  const tags = new Array<string>(groups);
  for (let number = 0, found = 0; found < groups; number += 1) {
    const tag = number.toString(36).padStart(TAG_LENGTH, '0');
    const group = Math.floor((slotOf(tag) * groups) / SLOTS);
    if (tags[group] !== undefined) continue;
    tags[group] = tag;
    found += 1;
  }
  return tags;
}
const TAG_LENGTH = 4;

/** The keys of one generation's rows, without strings: half a million a second are asked for. */
export class RowKeys {
  readonly groups: number;
  readonly #rowBytes: number;
  readonly #seed: number;
  readonly #slots: Uint16Array;
  /** `{TAG}NAME:GENERATION:` of each group. */
  readonly #prefixes: readonly Buffer[];
  /** `$LENGTH` of a key by the number of the id's digits. */
  readonly #lengths: readonly Buffer[];

  constructor(name: string, generation: string, rows: number, rowBytes: number) {
    const rest = `${name}:${generation}:`;
    const tags = tagsOf(groupsFor(rows, rowBytes));
    this.groups = tags.length;
    this.#rowBytes = rowBytes;
    this.#seed = crc32(rest);
    this.#slots = Uint16Array.from(tags, slotOf);
    this.#prefixes = tags.map((tag) => Buffer.from(`{${tag}}${rest}`));
    this.#lengths = Array.from({ length: 11 }, (_, digits) => Buffer.from(`$${this.#prefixes[0]!.length + digits}\r\n`));
  }

  groupOf(id: number): number {
    return id % this.groups;
  }

  slotOf(id: number): number {
    return this.#slots[this.groupOf(id)]!;
  }

  /** Writes the key as a word of a command. */
  write(id: number, into: CommandBuffer): void {
    const unit = highestUnit(id);
    into.raw(this.#lengths[digitsOf(unit)]!);
    into.raw(this.#prefixes[this.groupOf(id)]!);
    into.decimalLine(id, unit);
  }

  /** The value of a row, as a word of a command. */
  writeValue(id: number, row: Uint8Array, into: CommandBuffer): void {
    const trailer = Buffer.allocUnsafe(TRAILER_BYTES);
    trailer.writeUInt32LE(crc32(row, this.#seedOf(id)));
    into.text(`$${row.length + TRAILER_BYTES}\r\n`);
    into.raw(row);
    into.raw(trailer);
    into.text('\r\n');
  }

  /** Whether a value is that of row `id`. */
  isValueOf(id: number, value: Uint8Array): boolean {
    return value.length === this.#rowBytes + TRAILER_BYTES && crc32(value, this.#seedOf(id)) === RESIDUE;
  }

  #seedOf(id: number): number {
    return (this.#seed ^ Math.imul(id, 0x9e3779b1)) >>> 0;
  }
}

/** The largest power of ten in a number, which is 1 for 0. */
function highestUnit(id: number): number {
  let unit = 1;
  while (id >= unit * 10) unit *= 10;
  return unit;
}

function digitsOf(unit: number): number {
  let digits = 1;
  for (let rest = unit; rest >= 10; rest /= 10) digits += 1;
  return digits;
}
