/** Brings ids in any order, with repeats, into the form a backend gets: unique and ascending, in maximal runs of neighbours. */

/** For each given id, by ascending id: where it was (`sources`) and which of the unique rows it is (`targets`). */
export interface RowOrder {
  readonly unique: Uint32Array;
  readonly sources: Uint32Array;
  readonly targets: Uint32Array;
}

/**
 * @param ids all in 0..2^32-1, at most 2^20 at a time (so that id and index fit the 53 bits of a double)
 * @param from lower ids are left out
 */
export function orderRows(ids: ArrayLike<number>, from = 0): RowOrder {
  const all = new Float64Array(ids.length);
  let count = 0;
  for (let i = 0; i < ids.length; i += 1) {
    if (ids[i]! < from) continue;
    all[count] = ids[i]! * maxBatch + i;
    count += 1;
  }
  sortKeys(all, count);
  const unique = new Uint32Array(count);
  const sources = new Uint32Array(count);
  const targets = new Uint32Array(count);
  let distinct = 0;
  for (let i = 0; i < count; i += 1) {
    const id = Math.floor(all[i]! / maxBatch);
    if (distinct === 0 || unique[distinct - 1] !== id) {
      unique[distinct] = id;
      distinct += 1;
    }
    sources[i] = all[i]! - id * maxBatch;
    targets[i] = distinct - 1;
  }
  return { unique: unique.subarray(0, distinct), sources, targets };
}

/** Sorts the first `count` keys: a few by insertion, because the built-in takes a microsecond to begin. */
function sortKeys(keys: Float64Array, count: number): void {
  if (count > FEW) {
    keys.subarray(0, count).sort();
    return;
  }
  for (let i = 1; i < count; i += 1) {
    const key = keys[i]!;
    let at = i;
    for (; at > 0 && keys[at - 1]! > key; at -= 1) keys[at] = keys[at - 1]!;
    keys[at] = key;
  }
}

const FEW = 24;

/** Rows in one call at most; longer calls are cut into parts. */
export const maxBatch = 2 ** 20;

export function isAscending(ids: ArrayLike<number>): boolean {
  for (let i = 1; i < ids.length; i += 1) if (ids[i]! <= ids[i - 1]!) return false;
  return true;
}

/** Length of the run of consecutive ids that starts at index `start`. */
export function runLength(ids: Uint32Array, start: number): number {
  let end = start + 1;
  while (end < ids.length && ids[end] === ids[end - 1]! + 1) end += 1;
  return end - start;
}
