/** Filling a store on Valkey servers: rows under the keys of a generation that nobody reads; one transaction on one slot publishes it. */
import { randomBytes } from 'node:crypto';
import { formatManifest } from '@sconelm/artifact/portable';
import type { RowSink, SinkOptions } from '../backend.js';
import { eachBlock } from '../checksums.js';
import { CorruptStoreError, StoreError, StoreMismatchError } from '../errors.js';
import { differenceOf, type StoreDescription, type StoreManifest } from '../manifest.js';
import { rowBytesOf } from '../row-dtype.js';
import { RowSet } from '../row-set.js';
import type { ValkeyClient } from './valkey-client.js';
import { keysOf, parseControl, publishedForm, unfinishedForm, WriterLock } from './valkey-control.js';
import type { ValkeyLocation } from './valkey-keys.js';
import type { Reply } from './valkey-reply.js';
import { ValkeyRows } from './valkey-rows.js';

const ALL_ROWS = { from: 0, to: 2 ** 32 };
const newGeneration = () => randomBytes(8).toString('hex');

/** @param client the sink closes it @throws {StoreError} STORE_LOCKED, STORE_MISMATCH, STORE_IO */
export async function openValkeySink(
  client: ValkeyClient,
  location: ValkeyLocation,
  description: StoreDescription,
  { restart, range }: SinkOptions,
): Promise<RowSink> {
  const lock = await WriterLock.acquire(client, location, range);
  try {
    if (restart) {
      await lock.expectAlone();
      await discard(client, location, lock, ['unfinished']);
    }
    const generation = await beginGeneration(location, lock, description);
    const sink = new ValkeySink(client, location, description, lock, generation);
    await sink.findWritten();
    return sink;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Deletes the store and what is unfinished. @throws {StoreError} STORE_LOCKED, STORE_IO */
export async function removeValkeyStore(client: ValkeyClient, location: ValkeyLocation): Promise<void> {
  const lock = await WriterLock.acquire(client, location, ALL_ROWS);
  try {
    await discard(client, location, lock, ['manifest', 'unfinished']);
  } finally {
    await lock.release();
  }
}

/** Forgets generations, then frees the servers of their rows. */
async function discard(
  client: ValkeyClient,
  location: ValkeyLocation,
  lock: WriterLock,
  which: readonly ('manifest' | 'unfinished')[],
): Promise<void> {
  const keys = keysOf(location);
  await lock.run(async (send) => {
    const retired: string[] = [];
    if (which.includes('manifest')) retired.push(...retiredPublished(location, await send('GET', keys.manifest), 0));
    if (which.includes('unfinished')) {
      const found = parseControl(location.url, await send('GET', keys.unfinished), unfinishedForm);
      if (found !== undefined) retired.push(found.generation, retirementOf(found.description, 0));
    }
    await send('MULTI');
    for (const key of which) await send('DEL', keys[key]);
    await send('DEL', keys.replaced);
    if (retired.length > 0) await send('HSET', keys.retired, ...retired);
    await send('EXEC');
  });
  await finishRetiring(client, location, lock);
}

/** What there is to know of a generation for its keys to be found. */
function retirementOf(form: StoreDescription | StoreManifest, keepS: number): string {
  return JSON.stringify({ rows: form.rows, rowBytes: rowBytesOf(form.dtype, form.width), keepS });
}

function retiredPublished(location: ValkeyLocation, text: Reply, keepS: number): string[] {
  const found = parseControl(location.url, text, publishedForm);
  return found === undefined ? [] : [found.generation, retirementOf(found.store, keepS)];
}

/** Does what is to be done with retired generations, also those that a writer before could not come to. */
async function finishRetiring(client: ValkeyClient, location: ValkeyLocation, lock: WriterLock): Promise<void> {
  const { retired } = keysOf(location);
  const reply = await lock.run((send) => send('HGETALL', retired));
  const words = Array.isArray(reply) ? reply.map(String) : [];
  for (let i = 0; i < words.length; i += 2) {
    const { rows, rowBytes, keepS } = JSON.parse(words[i + 1]!);
    await new ValkeyRows(location.url, client, { name: location.name, generation: words[i]!, rows, rowBytes }).retire(keepS);
    await lock.run((send) => send('HDEL', retired, words[i]!));
  }
}

/** The unfinished generation: the one that is there, or a new one. @throws {StoreMismatchError} if it has another description */
async function beginGeneration(location: ValkeyLocation, lock: WriterLock, description: StoreDescription): Promise<string> {
  const { unfinished } = keysOf(location);
  const own = formatManifest(location.url, {
    kind: unfinishedForm.kind,
    version: unfinishedForm.version,
    description,
    generation: newGeneration(),
  });
  const text = await lock.run(async (send) => {
    await send('SET', unfinished, own, 'NX');
    return send('GET', unfinished);
  });
  const found = parseControl(location.url, text, unfinishedForm);
  if (found === undefined)
    throw new StoreError('STORE_IO', `${location.url}: the server loses what it was given`, 'Check its memory and eviction policy.');
  const difference = differenceOf(found.description, description);
  if (difference === undefined) return found.generation;
  const remedy = 'Create it with restart: true to throw the unfinished one away.';
  throw new StoreMismatchError(`an unfinished ${location.url} has ${difference}`, remedy);
}

class ValkeySink implements RowSink {
  readonly written: RowSet;
  readonly #client: ValkeyClient;
  readonly #location: ValkeyLocation;
  readonly #description: StoreDescription;
  readonly #rowBytes: number;
  readonly #lock: WriterLock;
  readonly #generation: string;
  readonly #rows: ValkeyRows;
  #isMarkedReplaced = false;

  constructor(client: ValkeyClient, location: ValkeyLocation, description: StoreDescription, lock: WriterLock, generation: string) {
    this.#client = client;
    this.#location = location;
    this.#description = description;
    this.#rowBytes = rowBytesOf(description.dtype, description.width);
    this.#lock = lock;
    this.#generation = generation;
    this.#rows = this.#rowsOf(generation);
    this.written = new RowSet(description.rows);
  }

  #rowsOf(generation: string): ValkeyRows {
    const form = { name: this.#location.name, generation, rows: this.#description.rows, rowBytes: this.#rowBytes };
    return new ValkeyRows(this.#location.url, this.#client, form);
  }

  /** Asks which rows are there: from writers before this one, and beside it. */
  findWritten(): Promise<void> {
    return this.#rows.eachPresent((id) => this.written.add(id));
  }

  async writeRows(ids: Uint32Array, rows: Uint8Array): Promise<void> {
    if (ids.some((id) => this.written.has(id))) await this.#markReplaced();
    await Promise.all([this.#rows.write(ids, rows), this.#lock.run(async () => {})]);
    for (const id of ids) this.written.add(id);
  }

  /** From now on a replica that is behind may hold another value of a row than its primary. */
  async #markReplaced(): Promise<void> {
    if (this.#isMarkedReplaced) return;
    await this.#lock.run((send) => send('SET', keysOf(this.#location).replaced, this.#generation));
    this.#isMarkedReplaced = true;
  }

  async readRows(ids: Uint32Array, into: Uint8Array): Promise<void> {
    const lost: number[] = [];
    try {
      await this.#rows.read(ids, into, { fromReplicas: false, onMissing: (id) => lost.push(id) });
    } catch (error) {
      if (!(error instanceof CorruptStoreError)) throw error;
      // Written and acknowledged, then lost: a primary failed before its replica had them.
      await this.#markReplaced();
      for (const id of lost) this.written.remove(id);
      throw new StoreError(
        'STORE_INCOMPLETE',
        `${error.message} (lost after it was written)`,
        'Write the missing rows again, then publish.',
        error,
      );
    }
  }

  async publish(manifest: StoreManifest, checksums: Uint32Array): Promise<void> {
    const keys = keysOf(this.#location);
    const isReplaced = (await this.#lock.run((send) => send('GET', keys.replaced))) !== null;
    const generation = isReplaced ? await this.#copyToNewKeys(checksums) : this.#generation;
    const rows = this.#rowsOf(generation);
    await rows.writeChecksums(checksums);
    if (checksums.length > 0) await expectChecksums(this.#location.url, rows, checksums);
    await this.#client.settle();
    const text = formatManifest(this.#location.url, {
      kind: publishedForm.kind,
      version: publishedForm.version,
      store: manifest,
      generation,
    });
    await this.#lock.run(async (send) => {
      const before = await send('GET', keys.manifest);
      if (String(before) === text) return; // the connection was lost after it was done
      const retired = retiredPublished(this.#location, before, this.#location.keepS);
      if (isReplaced) retired.push(this.#generation, retirementOf(manifest, 0));
      await send('MULTI');
      await send('SET', keys.manifest, text);
      await send('DEL', keys.unfinished, keys.replaced);
      await send('HDEL', keys.retired, generation);
      if (retired.length > 0) await send('HSET', keys.retired, ...retired);
      if ((await send('EXEC')) === null) throw new Error('the transaction was refused');
    });
    await finishRetiring(this.#client, this.#location, this.#lock);
  }

  /** Writes the rows once more under keys that never held anything else. */
  async #copyToNewKeys(checksums: Uint32Array): Promise<string> {
    const generation = newGeneration();
    const { retired } = keysOf(this.#location);
    // Until it is published it is one to be thrown away.
    await this.#lock.run((send) => send('HSET', retired, generation, retirementOf(this.#description, 0)));
    const copy = this.#rowsOf(generation);
    const form = { ...this.#description, rowBytes: this.#rowBytes };
    const move = async (ids: Uint32Array, into: Uint8Array) => {
      await this.#rows.read(ids, into, { fromReplicas: false });
      await copy.write(ids, into);
      await copy.read(ids, into, { fromReplicas: false });
    };
    await eachBlock(form, move, (block, sum) => {
      if (sum !== checksums[block]) throw new CorruptStoreError(`${this.#location.url}: block ${block} changed while it was published`);
    });
    return generation;
  }

  async close(): Promise<void> {
    await this.#lock.release();
    this.#client.close();
  }
}

/** What was loaded is read back before it counts: servers may lose what they have acknowledged. */
async function expectChecksums(url: string, rows: ValkeyRows, checksums: Uint32Array): Promise<void> {
  const found = new Uint32Array(checksums.length);
  await rows.readChecksums(0, found);
  if (found.some((sum, block) => sum !== checksums[block]))
    throw new CorruptStoreError(`${url}: the checksums are not as they were written`);
}
