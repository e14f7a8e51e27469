/**
 * Rows of f16, bf16 and small integers in AssemblyScript, several elements at a time; `float.ts` and `quantized.ts` have the forms and do the same in plain
 * TypeScript, bit for bit. Works on rows that were copied into this memory; up to 128 bytes behind a row are written to.
 */

const INFINITY_BITS: i32 = 0x7f800000;
/** 65,520, the first f32 that rounds beyond the largest half. */
const HALF_OVERFLOW: i32 = 0x477ff000;
/** The first that rounds beyond the largest bf16. */
const BF16_OVERFLOW: i32 = 0x7f7f8000;

/** Added to a double of small magnitude, this leaves the nearest integer, ties to even, in the low bits. */
const ROUND: f64 = 6755399441055744; // 1.5 * 2^52
const LARGEST_BITS: i32 = 0x7f7fffff;
const SMALLEST_NORMAL: f32 = reinterpret<f32>(0x00800000);

/** Zeros behind a row, so that what an earlier one left there is not taken for its values. */
// @ts-ignore: decorator
@inline
function clearBehind(from: usize, width: i32, count: i32): void {
  for (let i = 0; i < count; i++) store<f32>(from + (<usize>(width + i) << 2), 0);
}

/** Index of the first of `width` values that is infinite or none. There is one. */
function firstBad(from: usize, width: i32): i32 {
  let i = 0;
  while ((load<i32>(from + (<usize>i << 2)) & 0x7fffffff) <= LARGEST_BITS) i++;
  return i;
}

// @ts-ignore: decorator
@inline
function magnitudes(at: usize): v128 {
  return v128.and(v128.load(at), i32x4.splat(0x7fffffff));
}

/** The largest of four i32. */
// @ts-ignore: decorator
@inline
function largestOf(v: v128): i32 {
  const pairs = i32x4.max_s(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return i32x4.extract_lane(i32x4.max_s(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

/** Four f32 times `inverse`, rounded to i32. */
// @ts-ignore: decorator
@inline
function quotients(at: usize, inverse: v128): v128 {
  const x = v128.load(at);
  const low = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(x), inverse), f64x2.splat(ROUND));
  const high = f64x2.add(f64x2.mul(f64x2.promote_low_f32x4(v128.shuffle<i32>(x, x, 2, 3, 2, 3)), inverse), f64x2.splat(ROUND));
  return v128.shuffle<i32>(low, high, 0, 2, 4, 6);
}

/** @returns the index of the first value that is not finite, or -1 */
export function encodeInt8(from: usize, width: i32, to: usize): i32 {
  const rowBytes = ((width + 3) & ~3) + 4;
  clearBehind(from, width, 16);
  let most = i32x4.splat(0);
  for (let i = 0; i < width; i += 4) most = i32x4.max_s(most, magnitudes(from + (<usize>i << 2)));
  const bits = largestOf(most);
  if (bits > LARGEST_BITS) return firstBad(from, width);
  const scale = <f32>(<f64>reinterpret<f32>(bits) / 127);
  const inverse: f64 = scale == 0 ? 0 : 1 / <f64>scale;
  if (scale < SMALLEST_NORMAL) {
    // The smallest scales are so coarse that a quotient can pass 127.
    for (let i = 0; i < width; i++) {
      const q = nearest<f64>(<f64>load<f32>(from + (<usize>i << 2)) * inverse);
      store<i8>(to + i, <i8>Math.max(-127, Math.min(127, q)));
    }
    for (let i = width; i < rowBytes - 4; i++) store<i8>(to + i, 0);
  } else {
    const lanes = f64x2.splat(inverse);
    for (let i = 0; i < width; i += 16) {
      const at = from + (<usize>i << 2);
      const a = i16x8.narrow_i32x4_s(quotients(at, lanes), quotients(at + 16, lanes));
      const b = i16x8.narrow_i32x4_s(quotients(at + 32, lanes), quotients(at + 48, lanes));
      v128.store(to + i, i8x16.narrow_i16x8_s(a, b));
    }
  }
  store<f32>(to + rowBytes - 4, scale);
  return -1;
}

/** Sixteen i8 times `scale` to f32. */
// @ts-ignore: decorator
@inline
function expand(values: v128, scale: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(values);
  const high = i16x8.extend_high_i8x16_s(values);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale));
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), 48);
}

export function decodeInt8(from: usize, rows: i32, width: i32, to: usize): void {
  const rowBytes = <usize>(((width + 3) & ~3) + 4);
  for (let row = 0; row < rows; row++) {
    const scale = f32x4.splat(load<f32>(from + rowBytes - 4));
    for (let i = 0; i < width; i += 16) expand(v128.load(from + i), scale, to + (<usize>i << 2));
    from += rowBytes;
    to += <usize>width << 2;
  }
}

/** Rounds to nearest, ties to even. @returns -1 if no half can hold it */
function halfOf(value: f32): i32 {
  const bits = reinterpret<u32>(value);
  const magnitude = bits & 0x7fffffff;
  const sign = (bits >> 16) & 0x8000;
  if (<i32>magnitude >= HALF_OVERFLOW) return -1;
  if (magnitude >= 0x38800000) return <i32>(sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13));
  // In units of the smallest half, 2^-24.
  return <i32>(sign | <u32>nearest<f64>(<f64>reinterpret<f32>(magnitude) * 16777216));
}

/** Of a finite half. */
function valueOf(half: u32): f32 {
  // The exponent that is too small by 112 is mended by a product, which is exact, for subnormal halves too.
  const magnitude = reinterpret<f32>((half & 0x7fff) << 13) * reinterpret<f32>(0x77800000);
  return half & 0x8000 ? -magnitude : magnitude;
}

/** @returns the index of the first value that is not finite, or of the largest of a group whose scale no half can hold, or -1 */
export function encodeInt4(from: usize, width: i32, to: usize): i32 {
  const groups = (width + 31) >> 5;
  const rowBytes = (groups * 18 + 3) & ~3;
  clearBehind(from, width, 32);
  store<u16>(to + rowBytes - 2, 0);
  const scales = to + (<usize>groups << 4);
  for (let group = 0; group < groups; group++) {
    let most = i32x4.splat(0);
    for (let at = from; at < from + 128; at += 16) most = i32x4.max_s(most, magnitudes(at));
    const bits = largestOf(most);
    if (bits > LARGEST_BITS) return (group << 5) + firstBad(from, 32);
    const wanted = i32x4.splat(bits);
    let first = 0;
    while (!v128.any_true(i32x4.eq(magnitudes(from + (<usize>first << 2)), wanted))) first += 4;
    while ((load<i32>(from + (<usize>first << 2)) & 0x7fffffff) != bits) first++;
    const half = bits == 0 ? 0 : halfOf(load<f32>(from + (<usize>first << 2)) / -8);
    if (half < 0) return (group << 5) + first;
    store<u16>(scales + (<usize>group << 1), <u16>half);
    const scale = valueOf(half);
    const inverse = f64x2.splat(scale == 0 ? 0 : 1 / <f64>scale);
    const eight = i16x8.splat(8);
    const a = i16x8.add(i16x8.narrow_i32x4_s(quotients(from, inverse), quotients(from + 16, inverse)), eight);
    const b = i16x8.add(i16x8.narrow_i32x4_s(quotients(from + 32, inverse), quotients(from + 48, inverse)), eight);
    const c = i16x8.add(i16x8.narrow_i32x4_s(quotients(from + 64, inverse), quotients(from + 80, inverse)), eight);
    const d = i16x8.add(i16x8.narrow_i32x4_s(quotients(from + 96, inverse), quotients(from + 112, inverse)), eight);
    const x = i8x16.min_u(i8x16.narrow_i16x8_u(a, b), i8x16.splat(15));
    const y = i8x16.min_u(i8x16.narrow_i16x8_u(c, d), i8x16.splat(15));
    const low = v128.shuffle<i8>(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const high = v128.shuffle<i8>(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    v128.store(to, v128.or(low, i16x8.shl(high, 4)));
    from += 128;
    to += 16;
  }
  return -1;
}

export function decodeInt4(from: usize, rows: i32, width: i32, to: usize): void {
  const groups = (width + 31) >> 5;
  const rowBytes = <usize>((groups * 18 + 3) & ~3);
  for (let row = 0; row < rows; row++) {
    const scales = from + (<usize>groups << 4);
    for (let group = 0; group < groups; group++) {
      const scale = f32x4.splat(valueOf(load<u16>(scales + (<usize>group << 1))));
      const pairs = v128.load(from + (<usize>group << 4));
      const low = i8x16.sub(v128.and(pairs, i8x16.splat(15)), i8x16.splat(8));
      const high = i8x16.sub(i8x16.shr_u(pairs, 4), i8x16.splat(8));
      const at = to + (<usize>group << 7);
      expand(v128.shuffle<i8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), scale, at);
      expand(v128.shuffle<i8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), scale, at + 64);
    }
    from += rowBytes;
    to += <usize>width << 2;
  }
}

/** Four f32 as halves in i32, where none is HALF_OVERFLOW or more. */
// @ts-ignore: decorator
@inline
function halves(bits: v128): v128 {
  const magnitude = v128.and(bits, i32x4.splat(0x7fffffff));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - 0x38000000)), odd), 13);
  // Beside 0.5 a float has steps of 2^-24, those of the subnormal halves: the addition rounds.
  const subnormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const half = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  return v128.or(half, v128.and(i32x4.shr_u(bits, 16), i32x4.splat(0x8000)));
}

/** @returns the index of the first finite value that no half can hold, or -1 */
export function encodeF16(from: usize, width: i32, to: usize): i32 {
  clearBehind(from, width, 8);
  let most = i32x4.splat(0);
  for (let i = 0; i < width; i += 8) {
    const at = from + (<usize>i << 2);
    most = i32x4.max_s(most, i32x4.max_s(magnitudes(at), magnitudes(at + 16)));
    v128.store(to + (<usize>i << 1), i16x8.narrow_i32x4_u(halves(v128.load(at)), halves(v128.load(at + 16))));
  }
  if (largestOf(most) < HALF_OVERFLOW) return -1;
  for (let i = 0; i < width; i++) {
    const bits = load<i32>(from + (<usize>i << 2));
    const magnitude = bits & 0x7fffffff;
    if (magnitude < HALF_OVERFLOW) continue;
    if (magnitude < INFINITY_BITS) return i;
    store<u16>(to + (<usize>i << 1), <u16>(((bits >>> 16) & 0x8000) | (magnitude == INFINITY_BITS ? 0x7c00 : 0x7e00)));
  }
  return -1;
}

/** Four halves in i32 as f32. */
// @ts-ignore: decorator
@inline
function widened(half: v128): v128 {
  const magnitude = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
  const exponent = v128.and(magnitude, i32x4.splat(0x0f800000));
  const rebias = i32x4.splat(0x38000000);
  const normal = i32x4.add(i32x4.add(magnitude, rebias), v128.and(i32x4.eq(exponent, i32x4.splat(0x0f800000)), rebias));
  // Without its leading one: it is put there, then taken away.
  const subnormal = f32x4.sub(i32x4.add(magnitude, i32x4.splat(0x38800000)), f32x4.splat(reinterpret<f32>(0x38800000)));
  const value = v128.bitselect(subnormal, normal, i32x4.eq(exponent, i32x4.splat(0)));
  return v128.or(value, i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16));
}

export function decodeF16(from: usize, rows: i32, width: i32, to: usize): void {
  for (let i: i32 = 0, size = rows * width; i < size; i += 8) {
    const eight = v128.load(from + (<usize>i << 1));
    v128.store(to + (<usize>i << 2), widened(i32x4.extend_low_i16x8_u(eight)));
    v128.store(to + (<usize>i << 2), widened(i32x4.extend_high_i16x8_u(eight)), 16);
  }
}

/** The upper halves of four f32 below BF16_OVERFLOW, rounded to nearest, ties to even. */
// @ts-ignore: decorator
@inline
function uppers(bits: v128): v128 {
  const odd = v128.and(i32x4.shr_u(bits, 16), i32x4.splat(1));
  return i32x4.shr_u(i32x4.add(i32x4.add(bits, i32x4.splat(0x7fff)), odd), 16);
}

/** @returns the index of the first finite value that no bf16 can hold, or -1 */
export function encodeBf16(from: usize, width: i32, to: usize): i32 {
  clearBehind(from, width, 8);
  let most = i32x4.splat(0);
  for (let i = 0; i < width; i += 8) {
    const at = from + (<usize>i << 2);
    most = i32x4.max_s(most, i32x4.max_s(magnitudes(at), magnitudes(at + 16)));
    v128.store(to + (<usize>i << 1), i16x8.narrow_i32x4_u(uppers(v128.load(at)), uppers(v128.load(at + 16))));
  }
  if (largestOf(most) < BF16_OVERFLOW) return -1;
  for (let i = 0; i < width; i++) {
    const bits = load<i32>(from + (<usize>i << 2));
    const magnitude = bits & 0x7fffffff;
    if (magnitude < BF16_OVERFLOW) continue;
    if (magnitude < INFINITY_BITS) return i;
    // A NaN must not become an infinity.
    store<u16>(to + (<usize>i << 1), <u16>((bits >>> 16) | (magnitude > INFINITY_BITS ? 0x40 : 0)));
  }
  return -1;
}

export function decodeBf16(from: usize, rows: i32, width: i32, to: usize): void {
  for (let i: i32 = 0, size = rows * width; i < size; i += 8) {
    const eight = v128.load(from + (<usize>i << 1));
    v128.store(to + (<usize>i << 2), i32x4.shl(i32x4.extend_low_i16x8_u(eight), 16));
    v128.store(to + (<usize>i << 2), i32x4.shl(i32x4.extend_high_i16x8_u(eight), 16), 16);
  }
}
