/**
 * Memory: every planned value gets an offset in one arena, so that values whose lives overlap never overlap in memory. Values are placed in
 * order of size, largest first, each at the lowest offset that is free during its life.
 */
import { byteLength, type Step, type Value } from './lowered.js';

export interface Plan {
  readonly arenaBytes: number;
  /** What the values would take side by side. */
  readonly unsharedBytes: number;
  /** Bytes from the start of the arena; absent for values that a leaf owns. */
  readonly offsets: ReadonlyMap<Value, number>;
}

/** Offsets of bindings must be multiples of this on every adapter. */
const ALIGNMENT = 256;

interface Life {
  first: number;
  last: number;
}

/** The value that owns the memory, and where in it this one starts. Parts are f32. */
function rootOf(value: Value): { root: Value; bytes: number } {
  let bytes = 0;
  let root = value;
  while (root.parent !== undefined) {
    bytes += root.parent.offset * 4;
    root = root.parent.value;
  }
  return { root, bytes };
}

export function planMemory(steps: readonly Step[], results: readonly Value[]): Plan {
  const lives = new Map<Value, Life>();
  const live = (value: Value, at: number) => {
    const { root } = rootOf(value);
    if (root.leaf !== undefined) return;
    const life = lives.get(root);
    if (life === undefined) lives.set(root, { first: at, last: at });
    else life.last = Math.max(life.last, at);
  };
  steps.forEach(({ bindings }, index) => {
    for (const { value } of bindings) live(value, index);
  });
  for (const value of results) live(value, steps.length);

  const placed: { first: number; last: number; start: number; end: number }[] = [];
  const starts = new Map<Value, number>();
  let unsharedBytes = 0;
  const bySize = [...lives].sort(([a], [b]) => byteLength(b) - byteLength(a) || a.id - b.id);
  for (const [value, { first, last }] of bySize) {
    const bytes = Math.max(1, Math.ceil(byteLength(value) / ALIGNMENT)) * ALIGNMENT;
    unsharedBytes += bytes;
    const others = placed.filter((other) => other.first <= last && first <= other.last).sort((a, b) => a.start - b.start);
    let start = 0;
    for (const other of others) {
      if (other.start - start >= bytes) break;
      start = Math.max(start, other.end);
    }
    placed.push({ first, last, start, end: start + bytes });
    starts.set(value, start);
  }
  const offsets = new Map<Value, number>();
  for (const value of new Set([...steps.flatMap(({ bindings }) => bindings.map((binding) => binding.value)), ...results])) {
    const { root, bytes } = rootOf(value);
    const start = starts.get(root);
    if (start !== undefined) offsets.set(value, start + bytes);
  }
  return { arenaBytes: placed.reduce((bytes, { end }) => Math.max(bytes, end), 0), unsharedBytes, offsets };
}
