/**
 * IEEE 754 half precision for machines whose JavaScript lacks Float16Array. Encoding rounds to nearest, ties to even, on the bits
 * of the f32; decoding is one look-up in a table of all 65,536 values (256 KiB, built on first use).
 */

/** Bits of 65,520, the first f32 that rounds beyond the largest half, 65,504. */
const overflowBits = 0x477ff000;
const smallestNormalBits = 0x38800000; // 2^-14
const halfOfSmallestBits = 0x33000000; // 2^-25: this and below round to zero
const infinityBits = 0x7f800000;

/**
 * Encodes `count` f32 values, given as their bits.
 * @returns the index of the first finite value that no half can hold (nothing is said about what was encoded then), or -1
 */
export function encodeHalves(bits: Uint32Array, from: number, into: Uint16Array, to: number, count: number): number {
  for (let i = 0; i < count; i += 1) {
    const word = bits[from + i]!;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude >= smallestNormalBits) {
      if (magnitude < overflowBits) {
        // Rebias the exponent by 112, then round: half of the last kept bit, less one unless that bit is set, carries upwards.
        half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
      } else if (magnitude < infinityBits) return i;
      else half = magnitude === infinityBits ? 0x7c00 : 0x7e00;
    } else if (magnitude <= halfOfSmallestBits) half = 0;
    else half = subnormalHalf(magnitude);
    into[to + i] = half | ((word >>> 16) & 0x8000);
  }
  return -1;
}

/** Of a magnitude between 2^-25 and 2^-14: the mantissa shifted into units of 2^-24. */
function subnormalHalf(magnitude: number): number {
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  return rest > middle || (rest === middle && (kept & 1) === 1) ? kept + 1 : kept;
}

/** Decodes `count` halves; exact. */
export function decodeHalves(halves: Uint16Array, from: number, into: Float32Array, to: number, count: number): void {
  table ??= halfTable();
  const values = table;
  for (let i = 0; i < count; i += 1) into[to + i] = values[halves[from + i]!]!;
}

let table: Float32Array | undefined;

function halfTable(): Float32Array {
  const values = new Float32Array(1 << 16);
  for (let half = 0; half < values.length; half += 1) {
    const exponent = (half >>> 10) & 31;
    const mantissa = half & 0x3ff;
    let value = (1024 + mantissa) * 2 ** (exponent - 25);
    if (exponent === 0) value = mantissa * 2 ** -24;
    else if (exponent === 31) value = mantissa === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
    values[half] = half >= 0x8000 ? -value : value;
  }
  return values;
}
