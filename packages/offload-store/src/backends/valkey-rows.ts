/** One generation of a store on its servers: its rows, a key each, and the checksums of its blocks, a key for each 16,384. */
import { CorruptStoreError, StoreError } from '../errors.js';
import type { ValkeyClient } from './valkey-client.js';
import type { Job } from './valkey-dispatch.js';
import { RowKeys, TRAILER_BYTES } from './valkey-keys.js';
import { slotOf } from './valkey-topology.js';

export interface Generation {
  readonly name: string;
  readonly generation: string;
  readonly rows: number;
  readonly rowBytes: number;
}

export interface RowReadOptions {
  readonly fromReplicas: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onMissing?: (id: number) => void;
}

const CHECKSUMS_PER_KEY = 2 ** 14;
/** Of rows that one command reads: a server does one command at a time. */
const MAX_TOGETHER_BYTES = 2 ** 16;
/** Commands given to the client at once where it has to do with every row. */
const STEP = 2 ** 16;

export class ValkeyRows {
  readonly #url: string;
  readonly #client: ValkeyClient;
  readonly #form: Generation;
  readonly #keys: RowKeys;

  constructor(url: string, client: ValkeyClient, form: Generation) {
    this.#url = url;
    this.#client = client;
    this.#form = form;
    this.#keys = new RowKeys(form.name, form.generation, form.rows, form.rowBytes);
  }

  /**
   * @param fromReplicas whether they may answer; a row that one lacks is asked of its primary
   * @param onMissing hears of each row that no server has, before that fails
   * @throws {StoreError} STORE_CORRUPT if a row is missing or not as it was written; STORE_IO; the signal's reason
   */
  read(ids: Uint32Array, into: Uint8Array, options: RowReadOptions): Promise<void> {
    const groups = this.#groupsOf(ids);
    const apart: number[][] = [];
    const job: Job = {
      ...this.#jobOf(groups, ids, into, options),
      split: (i) => apart.push(...groups[i]!.map((place) => [place])),
      rest: () => (apart.length === 0 ? undefined : this.#jobOf(apart, ids, into, options)),
    };
    return this.#client.each(job, options.signal);
  }

  /** The places of ids whose rows one command may read, not too many of them. */
  #groupsOf(ids: Uint32Array): number[][] {
    const most = Math.max(1, Math.floor(MAX_TOGETHER_BYTES / this.#form.rowBytes));
    const groups: number[][] = [];
    const open = new Array<number[] | undefined>(this.#keys.groups);
    for (let place = 0; place < ids.length; place += 1) {
      const group = this.#keys.groupOf(ids[place]!);
      const places = open[group];
      if (places !== undefined && places.length < most) places.push(place);
      else {
        const begun = [place];
        open[group] = begun;
        groups.push(begun);
      }
    }
    return groups;
  }

  /** Reads rows, those of a group by one command. */
  #jobOf(groups: readonly number[][], ids: Uint32Array, into: Uint8Array, { fromReplicas, onMissing }: RowReadOptions): Job {
    const { rowBytes } = this.#form;
    const keys = this.#keys;
    const perGroup = groups.reduce((sum, places) => sum + places.length, 0) / groups.length;
    return {
      count: groups.length,
      isRead: fromReplicas,
      commandBytes: 32 + Math.ceil(64 * perGroup),
      answerBytes: Math.ceil(rowBytes * perGroup),
      slotOf: (i) => keys.slotOf(ids[groups[i]![0]!]!),
      encode(i, commands) {
        const places = groups[i]!;
        commands.text(`*${places.length + 1}\r\n$4\r\nMGET\r\n`);
        for (const place of places) keys.write(ids[place]!, commands);
      },
      take: (i, reply) => {
        const values = Array.isArray(reply) ? reply : [];
        let wrong: Error | undefined;
        groups[i]!.forEach((place, k) => {
          const [id, value] = [ids[place]!, values[k]];
          if (Buffer.isBuffer(value) && keys.isValueOf(id, value)) value.copy(into, place * rowBytes, 0, rowBytes);
          else {
            onMissing?.(id);
            wrong ??= this.#wrongRow(id, value);
          }
        });
        return wrong;
      },
    };
  }

  #wrongRow(id: number, reply: unknown): Error {
    if (Buffer.isBuffer(reply)) return new CorruptStoreError(`${this.#url}: row ${id} is not as it was written`);
    return new CorruptStoreError(
      `${this.#url}: row ${id} is not there: it was lost, or another store was published in this one's place some time ago`,
      'Open the store again; if it still fails, copy or precompute it again.',
    );
  }

  write(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    const { rowBytes } = this.#form;
    return this.#client.each({
      count: ids.length,
      isRead: false,
      commandBytes: rowBytes + 96,
      answerBytes: 8,
      slotOf: (i) => this.#keys.slotOf(ids[i]!),
      encode: (i, commands) => {
        commands.raw(SET);
        this.#keys.write(ids[i]!, commands);
        this.#keys.writeValue(ids[i]!, rows.subarray(i * rowBytes, (i + 1) * rowBytes), commands);
      },
      take: (_, reply) => (reply === 'OK' ? undefined : unexpected(this.#url, reply)),
    });
  }

  /** Calls `visit` for each row that is there. */
  async eachPresent(visit: (id: number) => void): Promise<void> {
    await this.#eachRow(STRLEN, NOTHING, (id, length) => {
      if (length === this.#form.rowBytes + TRAILER_BYTES) visit(id);
    });
  }

  /** Frees the servers of this generation: now, or when `keepS` seconds have passed. */
  async retire(keepS: number): Promise<void> {
    const [head, tail] = keepS === 0 ? [UNLINK, NOTHING] : [EXPIRE, Buffer.from(`$${String(keepS).length}\r\n${keepS}\r\n`)];
    await this.#eachRow(head, tail, () => {});
    const { rows } = this.#form;
    for (let first = 0; first < rows; first += CHECKSUMS_PER_KEY) {
      const key = this.#checksumsKey(first);
      await this.#client.command(false, slotOf(key), ...(keepS === 0 ? ['UNLINK', key] : ['EXPIRE', key, String(keepS)]));
    }
  }

  async #eachRow(head: Buffer, tail: Buffer, visit: (id: number, reply: unknown) => void): Promise<void> {
    for (let first = 0; first < this.#form.rows; first += STEP) {
      await this.#client.each({
        count: Math.min(STEP, this.#form.rows - first),
        isRead: false,
        commandBytes: 96,
        answerBytes: 8,
        slotOf: (i) => this.#keys.slotOf(first + i),
        encode: (i, commands) => {
          commands.raw(head);
          this.#keys.write(first + i, commands);
          commands.raw(tail);
        },
        take: (i, reply) => {
          if (typeof reply !== 'number') return unexpected(this.#url, reply);
          visit(first + i, reply);
          return undefined;
        },
      });
    }
  }

  #checksumsKey(block: number): string {
    return `${this.#form.name}:${this.#form.generation}:checksums:${Math.floor(block / CHECKSUMS_PER_KEY)}`;
  }

  async readChecksums(first: number, into: Uint32Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const block = first + done;
      const start = block % CHECKSUMS_PER_KEY;
      const count = Math.min(into.length - done, CHECKSUMS_PER_KEY - start);
      const key = this.#checksumsKey(block);
      const reply = await this.#client.command(false, slotOf(key), 'GETRANGE', key, String(start * 4), String((start + count) * 4 - 1));
      if (!Buffer.isBuffer(reply) || reply.length !== count * 4) {
        throw new CorruptStoreError(`${this.#url}: the checksums of blocks ${block} to ${block + count - 1} are not there`);
      }
      new Uint8Array(into.buffer, into.byteOffset + done * 4, count * 4).set(reply);
      done += count;
    }
  }

  async writeChecksums(checksums: Uint32Array): Promise<void> {
    for (let first = 0; first < checksums.length; first += CHECKSUMS_PER_KEY) {
      const part = checksums.subarray(first, first + CHECKSUMS_PER_KEY);
      const key = this.#checksumsKey(first);
      await this.#client.command(false, slotOf(key), 'SET', key, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
  }
}

const SET = Buffer.from('*3\r\n$3\r\nSET\r\n');
const STRLEN = Buffer.from('*2\r\n$6\r\nSTRLEN\r\n');
const UNLINK = Buffer.from('*2\r\n$6\r\nUNLINK\r\n');
const EXPIRE = Buffer.from('*3\r\n$6\r\nEXPIRE\r\n');
const NOTHING = Buffer.alloc(0);

const unexpected = (url: string, reply: unknown): StoreError =>
  new StoreError('STORE_IO', `${url}: a server answers ${JSON.stringify(reply)} where it should not`, 'Check the server.');
