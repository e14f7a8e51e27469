/**
 * Mining as SQL in the form that was fastest in both databases: one length after the other, and a position is counted only if its prefix and its
 * suffix were frequent one length before. A row is a position: `hi` packs its tokens 0 to 3 in 16 bits each, `lo` the other K − 4, 0xFFFF from the
 * document's end on.
 */

/**
 * @typedef {object} Dialect
 * @property {(x: string, bits: number) => string} right
 * @property {(x: string, bits: number) => string} left 64 bits, the rest falls off
 * @property {(x: string, mask: bigint) => string} and
 * @property {(a: string, b: string) => string} or
 * @property {(x: string, bits: 16 | 32 | 64) => string} cast of a number that fits
 * @property {(name: string) => string} create a table from a query
 * @property {string} isIn
 */

/** @type {Dialect} */
export const CLICKHOUSE = {
  right: (x, bits) => (bits === 0 ? x : `bitShiftRight(${x}, ${bits})`),
  left: (x, bits) => (bits === 0 ? x : `bitShiftLeft(toUInt64(${x}), ${bits})`),
  and: (x, mask) => `bitAnd(${x}, ${mask})`,
  or: (a, b) => `bitOr(${a}, ${b})`,
  cast: (x, bits) => `toUInt${bits}(${x})`,
  create: (name) => `CREATE TABLE ${name} ENGINE = Memory AS`,
  isIn: 'IN',
};

/** @type {Dialect} */
export const DUCKDB = {
  right: (x, bits) => (bits === 0 ? x : `(${x} >> ${bits})`),
  left: (x, bits) => (bits === 0 ? x : `((${x}::UBIGINT & ${(1n << BigInt(64 - bits)) - 1n}) << ${bits})`),
  and: (x, mask) => `(${x} & ${mask})`,
  or: (a, b) => `(${a} | ${b})`,
  cast: (x, bits) => `(${x})::${{ 16: 'USMALLINT', 32: 'UINTEGER', 64: 'UBIGINT' }[bits]}`,
  create: (name) => `CREATE TEMP TABLE ${name} AS`,
  isIn: 'IN',
};

const ones = (/** @type {number} */ bits) => (1n << BigInt(bits)) - 1n;

/** Bits of `lo`: a column of its own from five tokens on. @param {number} maxLength */
export const loBits = (maxLength) => (maxLength <= 5 ? 16 : maxLength === 6 ? 32 : 64);

/**
 * Statements that leave the tables f2 ... fK, and the query of their ranked union: c, t0 ... t(K−1).
 * @param {Dialect} dialect @param {{ maxLength: number, minCount: number, source: string }} options
 */
export function miningSql({ right, left, and, or, cast, create, isIn }, { maxLength, minCount, source }) {
  const width = Math.max(0, maxLength - 4);
  /** The first n tokens. @param {number} n */
  const key = (n) => {
    if (n > 4) return ['hi', right('lo', 16 * (maxLength - n))];
    const packed = right('hi', 16 * (4 - n));
    return [n === 2 ? cast(packed, 32) : packed];
  };
  /** The last n − 1 of the first n tokens, in the form of key(n − 1). @param {number} n */
  const suffix = (n) => {
    if (n === 3) return [cast(and(right('hi', 16), ones(32)), 32)];
    if (n === 4) return [and('hi', ones(48))];
    const high = or(left('hi', 16), right('lo', 16 * (maxLength - 5)));
    return n === 5 ? [high] : [high, and(right('lo', 16 * (maxLength - n)), ones(16 * (n - 5)))];
  };
  const columns = (/** @type {number} */ n) => (n > 4 ? ['k0', 'k1'] : ['k0']);
  const tuple = (/** @type {string[]} */ xs) => (xs.length === 1 ? xs[0] : `(${xs.join(', ')})`);
  const statements = [];
  for (let n = 2; n <= maxLength; n++) {
    const names = columns(n);
    const shorter = `${isIn} (SELECT ${columns(n - 1).join(', ')} FROM f${n - 1})`;
    const kept = n === 2 ? `${and(key(2)[0], 0xffffn)} != 65535` : `${tuple(key(n - 1))} ${shorter} AND ${tuple(suffix(n))} ${shorter}`;
    statements.push(
      `${create(`f${n}`)} SELECT ${names.join(', ')}, ${cast('count(*)', 32)} AS c FROM (SELECT ${key(n)
        .map((x, i) => `${x} AS ${names[i]}`)
        .join(', ')} FROM ${source} WHERE ${kept}) GROUP BY ${names.join(', ')} HAVING count(*) >= ${minCount}`,
    );
  }
  const padded = [];
  for (let n = 2; n <= maxLength; n++) {
    const hi = n > 4 ? 'k0' : n === 4 ? 'k0' : or(left('k0', 16 * (4 - n)), String(ones(16 * (4 - n))));
    const lo =
      n <= 4 ? String(ones(16 * width)) : n === maxLength ? 'k1' : or(left('k1', 16 * (maxLength - n)), String(ones(16 * (maxLength - n))));
    padded.push(`SELECT c, ${cast(String(n), 16)} AS n, ${cast(hi, 64)} AS hi${width === 0 ? '' : `, ${cast(lo, 64)} AS lo`} FROM f${n}`);
  }
  const tokens = Array.from({ length: maxLength }, (_, i) =>
    i < 4 ? cast(and(right('hi', 48 - 16 * i), 0xffffn), 16) : cast(and(right('lo', 16 * (maxLength - 1 - i)), 0xffffn), 16),
  );
  const ranked = `SELECT c, ${tokens.map((x, i) => `${x} AS t${i}`).join(', ')} FROM (${padded.join(' UNION ALL ')}) ORDER BY c DESC, n, hi${width === 0 ? '' : ', lo'}`;
  return { statements, ranked };
}
