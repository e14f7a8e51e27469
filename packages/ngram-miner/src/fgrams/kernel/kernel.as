/**
 * Longest matches of many tokens, level by level: of a block of tokens, first all look-ups that find f-grams of two tokens, then those of three, ...
 * No look-up of a level waits for another: their slots are touched before any is compared, so that many cache lines are on their way at once. One after
 * the other, each branch that depends on a slot would hold up the next. The table is that of slot-table.ts, which says what a slot is.
 *
 * An instance works in a scratch page of its own, where a node is stored as itself plus one, and 0 is none:
 */

/** u32 [K + 1]: of each length, the node that ends at the last token of the block before. */
const CARRIED: usize = 0;
/** u64: what touching has read, so that it is not optimised away. */
const TOUCHED: usize = 40;
/** Tokens of a block. */
const BLOCK: usize = 512;
/** [BLOCK] u32. A token outside the vocabulary is in no f-gram. */
const TOKENS: usize = 64;
/** [BLOCK] i32: found. */
const IDS: usize = TOKENS + 4 * BLOCK;
/** [BLOCK] u8: found. */
const LENGTHS: usize = IDS + 4 * BLOCK;
/** [BLOCK] u32. */
const HASHES: usize = LENGTHS + BLOCK;
/** [BLOCK] of two u32: the look-ups of a level, position and slot. */
const LOOKUPS: usize = HASHES + 4 * BLOCK;
/** [BLOCK + 1] u32, twice: nodes that end before each position, of one length and of the next. */
const NODES: usize = LOOKUPS + 8 * BLOCK;
const NODES_BYTES: usize = 4 * (BLOCK + 1);

let scratch: usize = 0;
let table: usize = 0;
let tableEnd: usize = 0;
let homes: u64 = 0;
let seed: u32 = 0;
/** Bits of a node in slots of two words; 0 where slots have three. */
let nodeBits: u32 = 0;
let maxLength: u32 = 0;
let vocabSize: u32 = 0;

export function configure(
  scratch_: usize,
  table_: usize,
  tableBytes: usize,
  homes_: u32,
  seed_: u32,
  nodeBits_: u32,
  maxLength_: u32,
  vocabSize_: u32,
): void {
  scratch = scratch_;
  table = table_;
  tableEnd = table_ + tableBytes;
  homes = homes_;
  seed = seed_;
  nodeBits = nodeBits_;
  maxLength = maxLength_;
  vocabSize = vocabSize_;
}

/** Forgets what came before. */
export function reset(): void {
  memory.fill(scratch + CARRIED, 0, 40);
}

// @ts-ignore: decorator
@inline
function hashOf(token: u32): u32 {
  let hash = (token + seed + 1) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

// @ts-ignore: decorator
@inline
function homeOf(parent: u32, hash: u32, slotBytes: usize): usize {
  return table + <usize>((<u64>(parent * 0x9e3779b1 + hash) * homes) >> 32) * slotBytes;
}

/** @returns the node that `token` leads to from `parent`, 0 where none */
// @ts-ignore: decorator
@inline
function find(at: usize, parent: u32, token: u32, wide: bool): u32 {
  if (wide) {
    for (; at < tableEnd; at += 12) {
      const child = load<u32>(at + 4);
      if (load<u32>(at) == parent && load<u32>(at + 8) == token) return child;
      if (child == 0) return 0;
    }
    return 0;
  }
  const mask = ((<u64>1) << nodeBits) - 1;
  const key = ((<u64>(token >> (32 - nodeBits))) << (32 + nodeBits)) | <u64>(parent | (token << nodeBits));
  for (; at < tableEnd; at += 8) {
    const slot = load<u64>(at);
    const child = <u32>((slot >> 32) & mask);
    if ((slot & ~(mask << 32)) == key) return child;
    if (child == 0) return 0;
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function matchBlock(size: u32, boundary: u32, wide: bool): void {
  const slotBytes: usize = wide ? 12 : 8;
  const tokens = scratch + TOKENS;
  const ids = scratch + IDS;
  const lengths = scratch + LENGTHS;
  const hashes = scratch + HASHES;
  const lookups = scratch + LOOKUPS;
  let nodes = scratch + NODES;
  let next = nodes + NODES_BYTES;
  for (let i: usize = 0; i < size; i++) {
    const token = load<u32>(tokens + (i << 2));
    store<u32>(nodes + (i << 2), token < vocabSize ? token + 1 : 0, 4);
    store<u32>(hashes + (i << 2), hashOf(token));
    store<i32>(ids + (i << 2), -1);
    store<u8>(lengths + i, 1);
  }
  for (let length: u32 = 1; ; length++) {
    // Nodes of `length` tokens: the last goes to the block that follows, and that of the block before is the first.
    const carried = scratch + CARRIED + (<usize>length << 2);
    store<u32>(nodes, load<u32>(carried));
    store<u32>(carried, load<u32>(nodes + (<usize>size << 2)));
    if (length == maxLength) return;
    let end = lookups;
    for (let i: usize = 0; i < size; i++) {
      const node = load<u32>(nodes + (i << 2));
      const token = load<u32>(tokens + (i << 2));
      store<u32>(end, <u32>i);
      store<u32>(end, <u32>homeOf(node - 1, load<u32>(hashes + (i << 2)), slotBytes), 4);
      // Whether it is one cannot be foreseen, and a wrong guess costs more than to write it in any case.
      end += (<usize>(node != 0) & <usize>(token != boundary) & <usize>(token < vocabSize)) << 3;
    }
    let touched: u32 = 0;
    for (let at = lookups; at < end; at += 8) touched ^= load<u32>(load<u32>(at, 4));
    store<u32>(scratch + TOUCHED, touched);
    memory.fill(next, 0, (<usize>size + 1) << 2);
    for (let at = lookups; at < end; at += 8) {
      const i = <usize>load<u32>(at);
      const node = find(load<u32>(at, 4), load<u32>(nodes + (i << 2)) - 1, load<u32>(tokens + (i << 2)), wide);
      if (node == 0) continue;
      store<u32>(next + (i << 2), node + 1, 4);
      store<u32>(ids + (i << 2), node - vocabSize);
      store<u8>(lengths + i, <u8>(length + 1));
    }
    const other = nodes;
    nodes = next;
    next = other;
  }
}

/** From the `size` tokens of a block to their ids and lengths. @param boundary the token that no match reaches back over */
export function match(size: u32, boundary: u32): void {
  if (nodeBits == 0) matchBlock(size, boundary, true);
  else matchBlock(size, boundary, false);
}
