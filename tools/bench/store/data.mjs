/** What is stored and asked for: rows whose first element tells their id, ids as f-grams are met and all over. */
export const FORMS = [
  { rowBytes: 1024, rows: 1_000_000 },
  { rowBytes: 4096, rows: 200_000 },
];
export const BATCHES = [1, 16, 256, 4096];

/** A generator of numbers in 0..1 that only the seed decides. @param {number} seed */
export function uniform(seed) {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** @param {'zipf' | 'uniform' | 'hot'} name @param {number} rows @param {() => number} random @returns {() => number} */
export function distribution(name, rows, random) {
  if (name === 'zipf') return () => Math.min(rows - 1, Math.floor((rows + 1) ** random()) - 1);
  const limit = name === 'hot' ? Math.floor(rows / 10) : rows;
  return () => Math.floor(random() * limit);
}

/** Fills rows of f32: the id, then numbers that do not compress. @param {Float32Array} into @param {number} first @param {number} count @param {number} width */
export function fillRows(into, first, count, width) {
  const random = uniform(first + 1);
  for (let i = 0; i < count * width; i++) into[i] = random();
  for (let i = 0; i < count; i++) into[i * width] = first + i;
}

const CHUNK_BYTES = 2 ** 22;

/** Rows in order, some MiB at a time. @param {{ rows: number, rowBytes: number }} form @param {(ids: Uint32Array, rows: Float32Array) => unknown} take */
export async function eachChunk({ rows, rowBytes }, take) {
  const width = rowBytes / 4;
  const step = CHUNK_BYTES / rowBytes;
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    const values = new Float32Array(count * width);
    fillRows(values, first, count, width);
    await take(
      Uint32Array.from({ length: count }, (_, i) => first + i),
      values,
    );
  }
}

export const bytesOf = (/** @type {Float32Array} */ values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
