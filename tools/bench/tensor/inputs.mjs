/** Inputs of the cases, from a hash of their index: every engine, in whatever language, makes the same ones. */

/** @param {number} i @param {number} seed @returns {number} a 32-bit hash */
function hash(i, seed) {
  let h = (Math.imul(i, 2654435761) + Math.imul(seed, 40503)) >>> 0;
  h = Math.imul(h ^ (h >>> 15), 2246822519) >>> 0;
  return (h ^ (h >>> 13)) >>> 0;
}

/** @returns {Float32Array<ArrayBuffer>} `count` values in [−scale, scale) */
export function values(/** @type {number} */ count, /** @type {number} */ seed, scale = 1) {
  const x = new Float32Array(count);
  for (let i = 0; i < count; i++) x[i] = ((hash(i, seed) >>> 8) / 2 ** 23 - 1) * scale;
  return x;
}

/** @returns {Int32Array<ArrayBuffer>} `count` integers below `below` */
export function integers(/** @type {number} */ count, /** @type {number} */ seed, /** @type {number} */ below) {
  const x = new Int32Array(count);
  for (let i = 0; i < count; i++) x[i] = (hash(i, seed) >>> 8) % below;
  return x;
}

/** What engines compare of an output: the mean magnitude and three elements. */
export function digest(/** @type {ArrayLike<number>} */ x) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.abs(x[i]);
  return [sum / x.length, x[0], x[x.length >> 1], x[x.length - 1]];
}
