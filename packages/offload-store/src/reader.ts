/**
 * Reading rows: checks ids and buffers once, gives the backend unique ascending ids, decodes into the caller's f32 buffer.
 * One row from memory or the page cache is answered at once, without a promise and without garbage to speak of.
 */
import type { RowReader } from './backend.js';
import { AlwaysCheckedRows, FirstTouchRows } from './checked-rows.js';
import { Checksums, damagedBlocks, eachBlock } from './checksums.js';
import type { ComputeRows } from './compute.js';
import { StoreArgumentError, StoreError } from './errors.js';
import { HotRows, type RowSource } from './hot-rows.js';
import type { StoreManifest } from './manifest.js';
import { Counts, type StoreMetrics } from './metrics.js';
import { RecoveredRows } from './recovered-rows.js';
import { CachedRows } from './row-cache.js';
import { allocateRows, type RowBuffer, type RowDtype } from './row-dtype.js';
import { isAscending, maxBatch, orderRows, type RowOrder } from './row-order.js';
import { DecodedTarget, EncodedTarget, type RowTarget } from './row-target.js';

export interface ReadOptions {
  /** Aborting rejects the read with the signal's reason; `into` then holds anything. */
  readonly signal?: AbortSignal | undefined;
  /** [n], set to 1 where a row could not be had and is zeros, else to 0. Needed where the store was opened with `damaged: 'fallback'`. */
  readonly lost?: Uint8Array;
}

export interface ReaderOptions {
  /**
   * 'never' leaves checking to `verify`: a checksum per row would cost as much as the copy. 'first-touch' reads the whole block when one of its
   * rows is first wanted, and compares its checksum. 'always' gives out no byte whose block was not compared. The default is 'always' for media
   * that may change under a reader (`https:`), else 'first-touch' if something is to be done about damaged rows, else 'never'.
   */
  readonly check?: 'never' | 'first-touch' | 'always';
  /** With 'always': bytes of compared blocks that are kept. Default 16 MiB. */
  readonly cacheBytes?: number;
  /**
   * What is done about rows that are damaged, missing or out of reach: 'error' (default); 'fallback' gives zeros and tells which in the read's
   * `lost`, so that the caller takes the token's own embedding; a function computes them again.
   */
  readonly damaged?: 'error' | 'fallback' | ComputeRows;
  /** How many other rows are kept in memory, those used last. For slow media; memory and page caches need none. Default 0. */
  readonly cacheRows?: number;
  /** How many rows, from id 0 on (the most frequent f-grams), are kept in memory: read in the background, see `warmed`. Default 0. */
  readonly hotRows?: number;
}

/** Buffers of one read at a time. Its views stay for the next read of as many rows: a new one costs as much as copying a row. */
interface Scratch {
  /** [count] */
  readonly ids: Uint32Array;
  /** At least `count` rows. */
  readonly rows: RowBuffer;
  /** Of the first `count` rows. */
  readonly bytes: Uint8Array;
}

/** A published store, open for reading. */
export class RowStore implements AsyncDisposable {
  readonly url: string;
  readonly manifest: StoreManifest;
  readonly rows: number;
  readonly width: number;
  readonly dtype: RowDtype;
  readonly rowBytes: number;
  /** It is not published: its rows are computed when they are first wanted, and have no checksums. */
  readonly isFilling: boolean;
  /** Settles when the hot rows are in memory; rejects if they cannot be read. */
  readonly warmed: Promise<void>;
  readonly #reader: RowReader;
  readonly #checksums: Checksums;
  readonly #hot: HotRows;
  readonly #recovered: RecoveredRows | undefined;
  readonly #cached: CachedRows | undefined;
  readonly #reportsLost: boolean;
  readonly #source: RowSource;
  readonly #closing = new AbortController();
  readonly #counts = new Counts();
  readonly #free: Scratch[] = [];
  readonly #pending = new Set<Promise<void>>();
  #closed = false;

  constructor(url: string, reader: RowReader, options: ReaderOptions = {}) {
    const { damaged = 'error', cacheBytes = 2 ** 24, cacheRows = 0, hotRows = 0 } = options;
    const { check = reader.isTrusted === false ? 'always' : damaged === 'error' ? 'never' : 'first-touch' } = options;
    this.url = url;
    this.#reader = reader;
    this.#checksums = new Checksums(url, reader);
    // From the medium to the caller: checked, recovered, cached; the hot rows stand before them all.
    let source: RowSource = reader;
    if (check === 'always') source = new AlwaysCheckedRows(url, reader, this.#checksums, cacheBytes);
    if (check === 'first-touch') source = new FirstTouchRows(url, reader, this.#checksums);
    // Rows that are lost now may be there later: they are not kept in memory.
    let lasting = source;
    this.#reportsLost = damaged === 'fallback';
    if (damaged !== 'error') {
      this.#recovered = new RecoveredRows(reader.manifest, source, damaged === 'fallback' ? undefined : damaged);
      source = this.#recovered;
      if (damaged !== 'fallback') lasting = source;
    }
    if (cacheRows > 0) {
      this.#cached = new CachedRows(source, reader.manifest.rowBytes, cacheRows);
      source = this.#cached;
    }
    this.#source = source;
    this.manifest = reader.manifest;
    const { rows, width, dtype, rowBytes } = reader.manifest;
    this.rows = rows;
    this.width = width;
    this.dtype = dtype;
    this.rowBytes = rowBytes;
    this.isFilling = reader.manifest.fingerprint === '';
    this.#hot = new HotRows(reader.manifest, Math.min(hotRows, rows));
    this.warmed = this.#hot.load(lasting, this.#closing.signal);
    this.warmed.catch(() => {}); // reads go on without them; whoever awaits `warmed` is told
  }

  /** Counts since opening; a copy. */
  get metrics(): StoreMetrics {
    return {
      ...this.#counts.all(),
      hotRows: this.#hot.loaded,
      verifiedRows: this.#checksums.verifiedRows,
      cacheHits: this.#cached?.hits ?? 0,
      recomputed: this.#recovered?.recomputed ?? 0,
      backend: this.#reader.stats?.() ?? {},
    };
  }

  /** Where a row would be read from now: the hot rows in memory, the cache, or the backend. */
  tierOf(id: number): 'memory' | 'cache' | 'store' {
    if (id < this.#hot.loaded) return 'memory';
    return this.#cached?.has(id) === true ? 'cache' : 'store';
  }

  /**
   * Reads rows: `into[i * width ..]` becomes row `ids[i]`, decoded.
   * @param ids [n], any order, repeats allowed
   * @param into [n, width] f32; may be longer
   * @returns nothing if the rows are there already; a promise if they are still on their way. `await` takes both.
   * @throws {StoreError} STORE_ARGUMENT: an id out of range, `into` too short; STORE_CLOSED; STORE_CORRUPT; STORE_IO
   */
  read(ids: Uint32Array | Int32Array, into: Float32Array, options: ReadOptions = {}): void | Promise<void> {
    this.#expectRead(ids, into.length, this.width);
    return this.#serve(ids, options, new DecodedTarget(into, this.width, this.dtype === 'f32'));
  }

  /**
   * Reads rows as they are stored, for whoever decodes them elsewhere: `into[i * rowBytes ..]` becomes row `ids[i]`.
   * @param ids [n], any order, repeats allowed
   * @param into [n * rowBytes]; may be longer
   * @returns and throws as `read` does
   */
  readEncoded(ids: Uint32Array | Int32Array, into: Uint8Array, options: ReadOptions = {}): void | Promise<void> {
    this.#expectRead(ids, into.length, this.rowBytes);
    return this.#serve(ids, options, new EncodedTarget(into, this.rowBytes));
  }

  #serve(wanted: Uint32Array | Int32Array, { signal, lost }: ReadOptions, target: RowTarget): void | Promise<void> {
    this.#expectLost(wanted, lost);
    signal?.throwIfAborted();
    const gone = this.#reportsLost ? new Set<number>() : undefined;
    const ids = this.#reportsLost ? wanted.slice() : wanted; // the caller may change his before he is told what is lost
    const started = performance.now();
    this.#counts.reads += 1;
    this.#counts.rows += ids.length;
    let answer: void | Promise<void>;
    try {
      answer = ids.length > maxBatch ? this.#readInParts(ids, target, signal, gone) : this.#readPart(ids, target, 0, signal, gone);
    } catch (error) {
      this.#counts.failed += 1;
      throw error;
    }
    if (answer === undefined) {
      this.#tellLost(ids, lost, gone);
      this.#counts.time(started);
      return;
    }
    return this.#track(
      answer.then(() => this.#tellLost(ids, lost, gone)),
      started,
    );
  }

  #expectLost(ids: ArrayLike<number>, lost: Uint8Array | undefined): void {
    if (!this.#reportsLost || (lost !== undefined && lost.length >= ids.length)) return;
    throw new StoreArgumentError(
      `read: lost has ${lost?.length ?? 'no'} elements, expected ${ids.length}: ${this.url} was opened with damaged: 'fallback'`,
      'Give a buffer that tells which rows could not be had.',
    );
  }

  #tellLost(ids: ArrayLike<number>, lost: Uint8Array | undefined, gone: ReadonlySet<number> | undefined): void {
    if (lost === undefined) return;
    for (let i = 0; i < ids.length; i += 1) {
      lost[i] = gone?.has(ids[i]!) === true ? 1 : 0;
      this.#counts.fallbacks += lost[i]!;
    }
  }

  /**
   * Reads every row and compares each block with its checksum. Plain reads do not: a checksum per row costs as much as the copy.
   * @throws {CorruptStoreError} naming the first damaged block and its rows; {StoreError} STORE_INCOMPLETE while the store is being filled
   */
  async verify({ signal }: ReadOptions = {}): Promise<void> {
    this.#expectOpen();
    if (this.isFilling)
      throw new StoreError(
        'STORE_INCOMPLETE',
        `${this.url} is being filled: its rows have no checksums yet`,
        'Publish the store, then compare its rows.',
      );
    const { manifest } = this;
    await eachBlock(
      manifest,
      (ids, into) => {
        this.#expectOpen();
        return this.#reader.readRows(ids, into, signal);
      },
      async (block, sum) => {
        if (sum !== (await this.#checksums.of(block))) throw damagedBlocks(this.url, manifest, [block]);
        this.#checksums.confirm(block);
      },
    );
  }

  /** Waits for reads under way, then closes; later reads fail with STORE_CLOSED. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.abort();
    await Promise.allSettled([this.warmed]);
    await Promise.allSettled(this.#pending);
    await this.#reader.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #expectOpen(): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', `${this.url} is closed`, 'Open the store again.');
  }

  #expectRead(ids: Uint32Array | Int32Array, length: number, perRow: number): void {
    this.#expectOpen();
    if (length < ids.length * perRow) {
      const expected = `[${ids.length}, ${perRow}] = ${ids.length * perRow}`;
      throw new StoreArgumentError(`read: into has ${length} elements, expected ${expected}`, 'Give a longer buffer.');
    }
    const { rows } = this;
    for (let i = 0; i < ids.length; i += 1) {
      const id = ids[i]!;
      if (id >= 0 && id < rows) continue;
      const remedy = 'Ask only for ids of the f-gram set that this store was made from; leave out tokens without a match.';
      throw new StoreArgumentError(`read: ids[${i}] is ${id}, ${this.url} has rows 0 to ${rows - 1}`, remedy);
    }
  }

  /** Hot rows go straight to the caller; the others are fetched in ascending order, each once. @param offset of `ids` among the caller's */
  #readPart(
    ids: Uint32Array | Int32Array,
    target: RowTarget,
    offset: number,
    signal: AbortSignal | undefined,
    gone: Set<number> | undefined,
  ): void | Promise<void> {
    const { loaded, encoded } = this.#hot; // the bound moves while they are being loaded
    let hot = 0;
    for (let i = 0; loaded > 0 && i < ids.length; i += 1) {
      if (ids[i]! >= loaded) continue;
      target.deliver(encoded, ids[i]!, 1, offset + i);
      hot += 1;
    }
    this.#counts.hotHits += hot;
    if (hot === ids.length) return;
    if (isAscending(ids)) {
      const scratch = this.#take(ids.length - hot);
      const count = scratch.ids.length;
      for (let i = 0; i < count; i += 1) scratch.ids[i] = ids[hot + i]!; // the caller may change his before a promise is answered
      return this.#fetch(scratch, target, offset + hot, undefined, signal, gone);
    }
    const order = orderRows(ids, loaded);
    const scratch = this.#take(order.unique.length);
    scratch.ids.set(order.unique);
    return this.#fetch(scratch, target, offset, order, signal, gone);
  }

  /** @param order undefined: the rows are wanted as they come */
  #fetch(
    scratch: Scratch,
    target: RowTarget,
    offset: number,
    order: RowOrder | undefined,
    signal: AbortSignal | undefined,
    gone: Set<number> | undefined,
  ): void | Promise<void> {
    const place = order === undefined ? target.place(offset, scratch.ids.length) : undefined;
    const answer = this.#source.readRows(scratch.ids, place ?? scratch.bytes, signal, gone);
    const receiver = place === undefined ? target : undefined;
    if (answer !== undefined) return this.#handLater(answer, scratch, receiver, offset, order);
    this.#hand(scratch, receiver, offset, order);
  }

  async #handLater(answer: Promise<void>, scratch: Scratch, target: RowTarget | undefined, offset: number, order: RowOrder | undefined) {
    await answer;
    this.#hand(scratch, target, offset, order);
  }

  /** @param target undefined: the rows are there already */
  #hand(scratch: Scratch, target: RowTarget | undefined, offset: number, order: RowOrder | undefined): void {
    const { ids, rows, bytes } = scratch;
    if (order === undefined) target?.deliver(rows, 0, ids.length, offset);
    else {
      const { sources, targets } = order;
      for (let i = 0; i < sources.length; i += 1) target?.deliver(rows, targets[i]!, 1, offset + sources[i]!);
    }
    this.#counts.distinctRows += ids.length;
    this.#counts.bytes += bytes.length;
    this.#free.push(scratch);
  }

  async #readInParts(
    ids: Uint32Array | Int32Array,
    target: RowTarget,
    signal: AbortSignal | undefined,
    gone: Set<number> | undefined,
  ): Promise<void> {
    const own = ids.slice(); // the caller may change his
    for (let start = 0; start < own.length; start += maxBatch) {
      await this.#readPart(own.subarray(start, start + maxBatch), target, start, signal, gone);
    }
  }

  #take(count: number): Scratch {
    const free = this.#free.pop();
    if (free?.ids.length === count) return free;
    const { rowBytes } = this;
    const isLarge = free !== undefined && free.rows.bytes.length >= count * rowBytes;
    const capacity = Math.max(16, 2 ** Math.ceil(Math.log2(count + 1)));
    const rows = isLarge ? free.rows : allocateRows(this.dtype, this.width, capacity);
    const ids = new Uint32Array(isLarge ? free.ids.buffer : new ArrayBuffer(capacity * 4), 0, count);
    return { ids, rows, bytes: rows.bytes.subarray(0, count * rowBytes) };
  }

  async #track(answer: Promise<void>, started: number): Promise<void> {
    this.#counts.promised += 1;
    this.#pending.add(answer);
    try {
      await answer;
    } catch (error) {
      this.#counts.failed += 1;
      throw error;
    } finally {
      this.#pending.delete(answer);
      this.#counts.time(started);
    }
  }
}
