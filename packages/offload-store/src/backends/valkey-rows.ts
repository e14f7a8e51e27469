/** One generation of a store on its servers: its rows, a key each, and the checksums of its blocks, a key for each 16,384. */
import { CorruptStoreError, StoreError } from '../errors.js';
import type { CommandBuffer, ValkeyClient } from './valkey-client.js';
import { RowKeys, TRAILER_BYTES } from './valkey-keys.js';
import { slotOf } from './valkey-topology.js';

export interface Generation {
  readonly name: string;
  readonly generation: string;
  readonly rows: number;
  readonly rowBytes: number;
}

const CHECKSUMS_PER_KEY = 2 ** 14;
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
    this.#keys = new RowKeys(form.name, form.generation, form.rowBytes);
  }

  /**
   * @param fromReplicas whether they may answer; a row that one lacks is asked of its primary
   * @param onMissing hears of each row that no server has, before that fails
   * @throws {StoreError} STORE_CORRUPT if a row is missing or not as it was written; STORE_IO; the signal's reason
   */
  read(
    ids: Uint32Array,
    into: Uint8Array,
    { fromReplicas, signal, onMissing }: { fromReplicas: boolean; signal?: AbortSignal | undefined; onMissing?: (id: number) => void },
  ): Promise<void> {
    const { rowBytes } = this.#form;
    const keys = this.#keys;
    const job = {
      count: ids.length,
      isRead: fromReplicas,
      bytesEach: rowBytes + 64,
      slotOf: (i: number) => keys.slotOf(ids[i]!),
      encode(i: number, commands: CommandBuffer) {
        commands.raw(GET);
        keys.write(ids[i]!, commands);
      },
      take: (i: number, reply: unknown) => {
        if (!Buffer.isBuffer(reply) || !keys.isValueOf(ids[i]!, reply)) {
          onMissing?.(ids[i]!);
          return this.#wrongRow(ids[i]!, reply);
        }
        reply.copy(into, i * rowBytes, 0, rowBytes);
        return undefined;
      },
    };
    return this.#client.each(job, signal);
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
      bytesEach: rowBytes + 64,
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
        bytesEach: 64,
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

const GET = Buffer.from('*2\r\n$3\r\nGET\r\n');
const SET = Buffer.from('*3\r\n$3\r\nSET\r\n');
const STRLEN = Buffer.from('*2\r\n$6\r\nSTRLEN\r\n');
const UNLINK = Buffer.from('*2\r\n$6\r\nUNLINK\r\n');
const EXPIRE = Buffer.from('*3\r\n$6\r\nEXPIRE\r\n');
const NOTHING = Buffer.alloc(0);

const unexpected = (url: string, reply: unknown): StoreError =>
  new StoreError('STORE_IO', `${url}: a server answers ${JSON.stringify(reply)} where it should not`, 'Check the server.');
