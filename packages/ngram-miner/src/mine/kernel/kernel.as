/**
 * The miner's inner loops in AssemblyScript, over memory that all workers share. An instance owns no memory: it works where the addresses that it is
 * given point, so instances never meet. `typescript-kernel.ts` does the same in plain TypeScript; the tests hold them against each other.
 *
 * A key is the `length` symbols that follow a token, `bits` each, from the top bit down; all ones from a document's end on. Keys have 64 bits (u64), or
 * 128 (v128: high word, low word). The functions are generic in the key: `sizeof<K>()` decides while compiling.
 */

/** Gets what is in the output when it is full. */
@external('env', 'flush')
declare function flush(): void;

// Settings of the run; see `configure`.
let bits: u64 = 16;
let length: i32 = 4;
let minCount: u32 = 5;
let tokenBytes: u32 = 2;
let vocabSize: u32 = 0;
let boundary: u32 = 0;
/** u32 by token: its symbol, `end` where it is too rare. */
let symbols: usize = 0;
/** u32 by symbol: its token. */
let tokens: usize = 0;
let scratch: usize = 0;
let scratchBytes: usize = 0;
/** 3 × 2048 u32. */
let digits: usize = 0;
let output: usize = 0;
let outputEnd: usize = 0;
/** Bytes of a token in the output. */
let outputTokenBytes: u32 = 2;

/** The symbol that ends a key: all ones. */
let end: u64 = 0xffff;
let passes: u32 = 2;
let digitBits: u32 = 8;
/** Where the output goes on. */
let at: usize = 0;
/** Tokens before the bucket's own: a symbol at depth j of a key ends an n-gram of prefixLength + 2 + j tokens, and the bucket's own is at depth −1. */
let prefixLength: u32 = 0;
/** Bytes of minCount − 1 keys. */
let least: usize = 0;

const DIGITS: u32 = 2048;
/** Groups of up to this many keys are sorted by insertion. */
const FEW: u32 = 16;
/** Groups of at least this many keys are sorted by digits, if they fit into scratch space; else they are first cut into three, as smaller ones are. */
const MANY: u32 = 1024;

export function configure(
  bits_: u32,
  length_: i32,
  minCount_: u32,
  tokenBytes_: u32,
  vocabSize_: u32,
  boundary_: u32,
  symbols_: usize,
  tokens_: usize,
  scratch_: usize,
  scratchBytes_: usize,
  digits_: usize,
  output_: usize,
  outputEnd_: usize,
  outputTokenBytes_: u32,
  keyBytes: u32,
): void {
  bits = bits_;
  length = length_;
  minCount = minCount_;
  tokenBytes = tokenBytes_;
  vocabSize = vocabSize_;
  boundary = boundary_;
  symbols = symbols_;
  tokens = tokens_;
  scratch = scratch_;
  scratchBytes = scratchBytes_;
  digits = digits_;
  output = output_;
  outputEnd = outputEnd_;
  outputTokenBytes = outputTokenBytes_;
  end = ((<u64>1) << bits) - 1;
  passes = (bits_ + 10) / 11;
  digitBits = (bits_ + passes - 1) / passes;
  at = output_;
  // No bucket has more keys than memory has bytes for, so a larger minimum need not be told from this one.
  least = <usize>min<u64>((<u64>minCount_ - 1) * keyBytes, 0xffffffff);
}

// @ts-ignore: decorator
@inline
function tokenAt(chunk: usize, i: u32): u32 {
  return tokenBytes == 2 ? <u32>load<u16>(chunk + (<usize>i << 1)) : load<u32>(chunk + (<usize>i << 2));
}

// @ts-ignore: decorator
@inline
function follows(chunk: usize, i: u32, prefix: usize, prefixTokens: u32): bool {
  if (i < prefixTokens) return false;
  for (let k: u32 = 0; k < prefixTokens; k++) {
    if (tokenAt(chunk, i - prefixTokens + k) != load<u32>(prefix + (<usize>k << 2))) return false;
  }
  return true;
}

/**
 * Counts the tokens from..to of a chunk that follow `prefix` (u32 each) into `counts` (f64 by token).
 * @returns the index of a token outside the vocabulary, −1 where there is none
 */
export function histogram(chunk: usize, from: u32, to: u32, prefix: usize, prefixTokens: u32, counts: usize): i32 {
  for (let i = from; i < to; i++) {
    const token = tokenAt(chunk, i);
    if (token >= vocabSize) return i;
    if (prefixTokens != 0 && (token == boundary || !follows(chunk, i, prefix, prefixTokens))) continue;
    const slot = counts + (<usize>token << 3);
    store<f64>(slot, load<f64>(slot) + 1);
  }
  return -1;
}

/**
 * Writes the key of every token from..to that follows `prefix` and has a symbol in low..high to the next place of its symbol.
 * @param size of the chunk in tokens: those from `to` on only end keys
 * @param places u32 by symbol: the address of the next key; that of `high` is written over
 */
// @ts-ignore: decorator
@inline
function scatterKeys<K>(chunk: usize, from: u32, to: u32, size: u32, prefix: usize, prefixTokens: u32, low: u32, high: u32, places: usize): void {
  const width = bits;
  const own = symbols;
  const opening = boundary;
  const used = <u64>(length - <i32>prefixTokens) * width;
  let head: u64 = -1;
  let tail: u64 = -1;
  // Ones below the symbols that count.
  const headFill: u64 = used >= 64 ? 0 : (<u64>-1) >> used;
  const tailFill: u64 = used >= 128 ? 0 : used <= 64 ? -1 : (<u64>-1) >> (used - 64);
  // Keys that are not wanted are written too, to a place behind the others that stays: which are cannot be foreseen, and a wrong guess costs more.
  const span = high - low;
  const first = places + (<usize>low << 2);
  store<u32>(first + (<usize>span << 2), <u32>digits);
  for (let i = <i32>size - 1; i >= <i32>from; i--) {
    const token = tokenAt(chunk, i);
    const symbol = load<u32>(own + (<usize>token << 2));
    let index = min<u32>(symbol - low, span);
    if (<u32>i >= to || (prefixTokens != 0 && (token == opening || !follows(chunk, i, prefix, prefixTokens)))) index = span;
    const place = first + (<usize>index << 2);
    const key = <usize>load<u32>(place);
    store<u64>(key, head | headFill);
    if (sizeof<K>() == 16) store<u64>(key + 8, tail | tailFill);
    store<u32>(place, <u32>(key + (<usize>(index < span)) * sizeof<K>()));
    if (token == opening || <u64>symbol == end) {
      head = -1;
      tail = -1;
    } else {
      if (sizeof<K>() == 16) tail = (head << (64 - width)) | (tail >> width);
      head = (<u64>symbol << (64 - width)) | (head >> width);
    }
  }
}

/** The symbol that starts `offset` bits from the top of the key at `key`. */
// @ts-ignore: decorator
@inline
function symbolAt<K>(key: usize, offset: u64): u64 {
  const rest = 64 - bits;
  if (sizeof<K>() == 8) return (load<u64>(key) << offset) >> rest;
  if (offset >= 64) return (load<u64>(key + 8) << (offset - 64)) >> rest;
  const head = load<u64>(key) << offset;
  return (offset <= rest ? head : head | (load<u64>(key + 8) >> (64 - offset))) >> rest;
}

// @ts-ignore: decorator
@inline
function emit(depth: i32, symbol: u64, count: u32): void {
  if (at + 16 > outputEnd) {
    flush();
    at = output;
  }
  const over = count - minCount;
  store<u8>(at, <u8>((prefixLength + 1 + depth) << 5) | <u8>min<u32>(over, 31));
  const token = load<u32>(tokens + (<usize>symbol << 2));
  if (outputTokenBytes == 2) store<u16>(at + 1, <u16>token);
  else store<u32>(at + 1, token);
  at += 1 + outputTokenBytes;
  if (over < 31) return;
  let more = over - 31;
  while (more >= 128) {
    store<u8>(at++, <u8>(more | 128));
    more >>= 7;
  }
  store<u8>(at++, <u8>more);
}

/** Insertion sort by whole keys. */
function sortFew<K>(from: usize, to: usize): void {
  for (let i = from + sizeof<K>(); i < to; i += sizeof<K>()) {
    if (sizeof<K>() == 8) {
      const key = load<u64>(i);
      let j = i;
      while (j > from) {
        const before = load<u64>(j - 8);
        if (before <= key) break;
        store<u64>(j, before);
        j -= 8;
      }
      store<u64>(j, key);
    } else {
      const head = load<u64>(i);
      const tail = load<u64>(i + 8);
      let j = i;
      while (j > from) {
        const before = load<u64>(j - 16);
        if (before < head) break;
        const beforeTail = load<u64>(j - 8);
        if (before == head && beforeTail <= tail) break;
        store<u64>(j, before);
        store<u64>(j + 8, beforeTail);
        j -= 16;
      }
      store<u64>(j, head);
      store<u64>(j + 8, tail);
    }
  }
}

/** Emits the n-grams of keys that are in order and agree above `depth`. */
function emitSorted<K>(from: usize, to: usize, depth: i32): void {
  const offset = <u64>depth * bits;
  let start = from;
  while (to - start > least) {
    const symbol = symbolAt<K>(start, offset);
    if (symbol == end) return;
    let next = start + sizeof<K>();
    while (next < to && symbolAt<K>(next, offset) == symbol) next += sizeof<K>();
    if (next - start > least) emitGroup<K>(start, next, depth, symbol, true);
    start = next;
  }
}

/** Emits an n-gram, then those that extend it. */
function emitGroup<K>(from: usize, to: usize, depth: i32, symbol: u64, sorted: bool): void {
  emit(depth, symbol, <u32>((to - from) / sizeof<K>()));
  if (depth + 1 == length - <i32>prefixLength) return;
  if (sorted) emitSorted<K>(from, to, depth + 1);
  else count<K>(from, to, depth + 1);
}

/** Emits the n-grams of keys that are in order of the symbol at `depth` and agree above it. */
function emitGroups<K>(from: usize, to: usize, depth: i32): void {
  const offset = <u64>depth * bits;
  while (to - from > least) {
    const symbol = symbolAt<K>(from, offset);
    if (symbol == end) return;
    let next = from + sizeof<K>();
    while (next < to && symbolAt<K>(next, offset) == symbol) next += sizeof<K>();
    if (next - from > least) emitGroup<K>(from, next, depth, symbol, false);
    from = next;
  }
}

/** Sorts keys by the symbol at `depth`, one digit after the other, the lowest first. */
function sortByDigits<K>(from: usize, to: usize, offset: u64): void {
  const mask = ((<u64>1) << digitBits) - 1;
  memory.fill(digits, 0, (passes * DIGITS) << 2);
  for (let key = from; key < to; key += sizeof<K>()) {
    let symbol = symbolAt<K>(key, offset);
    let table = digits;
    for (let pass: u32 = 0; pass < passes; pass++) {
      const slot = table + (<usize>(symbol & mask) << 2);
      store<u32>(slot, load<u32>(slot) + 1);
      symbol >>= digitBits;
      table += DIGITS << 2;
    }
  }
  let source = from;
  let target = scratch;
  const size = to - from;
  for (let pass: u32 = 0; pass < passes; pass++) {
    const table = digits + ((pass * DIGITS) << 2);
    let place = target;
    for (let slot = table; slot < table + ((<usize>1 << digitBits) << 2); slot += 4) {
      const keys = <usize>load<u32>(slot);
      store<u32>(slot, <u32>place);
      place += keys * sizeof<K>();
    }
    const shift = <u64>(pass * digitBits);
    for (let key = source; key < source + size; key += sizeof<K>()) {
      const slot = table + (<usize>((symbolAt<K>(key, offset) >> shift) & mask) << 2);
      const own = <usize>load<u32>(slot);
      store<K>(own, load<K>(key));
      store<u32>(slot, <u32>(own + sizeof<K>()));
    }
    const other = source;
    source = target;
    target = other;
  }
  if (source != from) memory.copy(from, source, size);
}

/** Moves the keys whose symbol is below (or is, with `same`) the pivot to the front. @returns where the others start */
// @ts-ignore: decorator
@inline
function partition<K>(from: usize, to: usize, offset: u64, pivot: u64, same: bool): usize {
  let front = from;
  for (let key = from; key < to; key += sizeof<K>()) {
    const symbol = symbolAt<K>(key, offset);
    const here = load<K>(key);
    store<K>(key, load<K>(front));
    store<K>(front, here);
    front += (same ? <usize>(symbol == pivot) : <usize>(symbol < pivot)) * sizeof<K>();
  }
  return front;
}

// @ts-ignore: decorator
@inline
function median(a: u64, b: u64, c: u64): u64 {
  return max(min(a, b), min(max(a, b), c));
}

/** Emits the n-grams of keys that agree above `depth`, in lexicographic order; the keys are put in order on the way. Fewer than the minimum are dropped. */
function count<K>(from: usize, to: usize, depth: i32): void {
  const offset = <u64>depth * bits;
  while (to - from > least) {
    if (to - from >= MANY * sizeof<K>() && to - from <= scratchBytes) {
      sortByDigits<K>(from, to, offset);
      emitGroups<K>(from, to, depth);
      return;
    }
    if (to - from <= FEW * sizeof<K>()) {
      sortFew<K>(from, to);
      emitSorted<K>(from, to, depth);
      return;
    }
    const middle = from + ((to - from) / sizeof<K>() / 2) * sizeof<K>();
    const pivot = median(symbolAt<K>(from, offset), symbolAt<K>(middle, offset), symbolAt<K>(to - sizeof<K>(), offset));
    const equal = partition<K>(from, to, offset, pivot, false);
    const above = partition<K>(equal, to, offset, pivot, true);
    count<K>(from, equal, depth);
    if (pivot == end) return;
    if (above - equal > least) emitGroup<K>(equal, above, depth, pivot, false);
    from = above;
  }
}

export function scatter64(chunk: usize, from: u32, to: u32, size: u32, prefix: usize, prefixTokens: u32, low: u32, high: u32, places: usize): void {
  // Twice, so that the loop without a prefix, which is nearly all there is, does not ask for one.
  if (prefixTokens == 0) scatterKeys<u64>(chunk, from, to, size, prefix, 0, low, high, places);
  else scatterKeys<u64>(chunk, from, to, size, prefix, prefixTokens, low, high, places);
}

export function scatter128(chunk: usize, from: u32, to: u32, size: u32, prefix: usize, prefixTokens: u32, low: u32, high: u32, places: usize): void {
  // Twice, so that the loop without a prefix, which is nearly all there is, does not ask for one.
  if (prefixTokens == 0) scatterKeys<v128>(chunk, from, to, size, prefix, 0, low, high, places);
  else scatterKeys<v128>(chunk, from, to, size, prefix, prefixTokens, low, high, places);
}

/** Emits the n-grams of the bucket of a symbol, itself included: its keys are at from..to. @param prefixTokens tokens before the bucket's own */
export function count64(symbol: u32, from: usize, to: usize, prefixTokens: u32): void {
  prefixLength = prefixTokens;
  if (to - from > least) emitGroup<u64>(from, to, -1, symbol, false);
}

export function count128(symbol: u32, from: usize, to: usize, prefixTokens: u32): void {
  prefixLength = prefixTokens;
  if (to - from > least) emitGroup<v128>(from, to, -1, symbol, false);
}

/** Bytes in the output. */
export function outputSize(): u32 {
  return <u32>(at - output);
}

export function emptyOutput(): void {
  at = output;
}
