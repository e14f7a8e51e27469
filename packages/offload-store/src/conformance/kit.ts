/** What the cases of the conformance kit are made of: the backend under test, rows whose values tell where they belong, stores to read. */
import assert from 'node:assert/strict';
import { createStore, openStore, type RowDtype, type RowStore, type StoreBinding } from '../index.js';

export interface BackendUnderTest {
  /** A URL of the backend where there is no store yet; another one at each call. */
  freshUrl(): string;
  /**
   * Changes a byte of a row of a published store, or takes the row away; no reader is open. Without it the cases on damage are left out.
   * @param id of the row
   */
  damageRow?(url: string, id: number): void | Promise<void>;
  /**
   * The module that exports the backend, for other processes to import; any module where the backend is a built-in one. Without it the cases on
   * killed writers are left out, as for a medium that does not outlive its process.
   */
  readonly module?: string | URL;
  /** Whether several writers may fill ranges that do not overlap. Default true. */
  readonly parallelWriters?: boolean;
  /** Of the cases at random, whose failures name it. Default 1. */
  readonly seed?: number;
}

export interface ConformanceCase {
  readonly name: string;
  run(): Promise<void>;
}

export const binding: StoreBinding = { fgrams: 'set', model: 'model' };

/** A value that f16 holds exactly; another one in every generation. */
const valueAt = (row: number, column: number, generation: number) => ((row * 31 + column * 7 + generation * 101) % 2048) / 16 - 64;

/** [ids.length, width] */
export function rowsOf(ids: ArrayLike<number>, width: number, generation = 0): Float32Array {
  const rows = new Float32Array(ids.length * width);
  for (let i = 0; i < ids.length; i += 1)
    for (let column = 0; column < width; column += 1) rows[i * width + column] = valueAt(ids[i]!, column, generation);
  return rows;
}

/** A generator of numbers below `limit` that only the seed decides. [Marsaglia 2003, xorshift] */
export function numbersFrom(seed: number): (limit: number) => number {
  let state = (Math.imul(seed, 0x9e3779b1) | 1) >>> 0;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state % limit;
  };
}

export const upTo = (rows: number): Uint32Array => Uint32Array.from({ length: rows }, (_, id) => id);

export interface Form {
  readonly rows: number;
  readonly width: number;
  readonly dtype?: RowDtype;
  readonly blockRows?: number;
}

/** Rows of generation 0 are of the model of `binding`, those of others of a model of their own. */
export const descriptionOf = ({ dtype = 'f32', ...form }: Form, generation = 0) => ({
  ...form,
  dtype,
  binding: generation === 0 ? binding : { ...binding, model: `model ${generation}` },
});

/** Fills and publishes a store, some rows a call, last ids first. */
export async function fill(url: string, form: Form, generation = 0): Promise<void> {
  await using writer = await createStore(url, descriptionOf(form, generation));
  const ids = upTo(form.rows).reverse();
  const step = Math.max(5, Math.ceil(form.rows / 20));
  for (let start = 0; start < form.rows; start += step) {
    const part = ids.slice(start, start + step);
    await writer.write(part, rowsOf(part, form.width, generation));
  }
  await writer.publish();
}

/** Which generation an open store is. */
export const generationOf = ({ manifest }: RowStore): number => Number(/\d+/.exec(manifest.binding.model)?.[0] ?? 0);

/** Reads `ids` of an open store and compares them. */
export async function expectRows(store: RowStore, ids: ArrayLike<number>): Promise<void> {
  const into = new Float32Array(ids.length * store.width);
  await store.read(Uint32Array.from(ids), into);
  assert.deepEqual(into, rowsOf(ids, store.width, generationOf(store)));
}

/** Opens a store, reads `ids`, verifies all of it. */
export async function expectStore(url: string, ids: ArrayLike<number>): Promise<void> {
  await using store = await openStore(url, { expect: binding });
  await expectRows(store, ids);
  await store.verify();
}

/** `work` must fail, also where it fails at once rather than by a promise. */
export async function rejects(work: () => unknown, expected: assert.AssertPredicate): Promise<void> {
  await assert.rejects(async () => {
    await work();
  }, expected);
}
