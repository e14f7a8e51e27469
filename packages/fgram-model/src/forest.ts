/**
 * The forest of a batch: every distinct prefix of its f-grams is one node, computed once, attending to its ancestors. Nodes are numbered
 * depth-first with children in token order, so ancestors come first and a node's descendants are a range.
 */
export interface Forest {
  /** Nodes without padding. */
  readonly nodes: number;
  /** [N] token per node; −1 pads to a multiple of the bucket. */
  readonly tokens: Int32Array<ArrayBuffer>;
  /** [N] distance from the root; 0 for padding. */
  readonly depths: Int32Array<ArrayBuffer>;
  /** [N, K], the node itself, its parent, ..; −1 where there are fewer. */
  readonly ancestors: Int32Array<ArrayBuffer>;
  /** [N], one past the node's last descendant. */
  readonly ends: Int32Array<ArrayBuffer>;
  /** [N], the id of the f-gram whose row is wanted of the node; −1 where of none, or where ids were not told. */
  readonly ids: Int32Array<ArrayBuffer>;
  /** The node of each sequence's last token. */
  readonly last: Int32Array<ArrayBuffer>;
}

/** Node counts are rounded up to a multiple of this, so that few shapes occur. */
export const NODE_BUCKET = 128;

/** Slices of `tokens`: sequence i is tokens[starts[i] .. starts[i] + lengths[i]). */
export interface Slices {
  readonly tokens: ArrayLike<number>;
  readonly starts: ArrayLike<number>;
  readonly lengths: ArrayLike<number>;
  /** Ids of the sequences as f-grams; needed for residual rows. */
  readonly ids?: ArrayLike<number>;
}

/**
 * In lexicographic order a sequence shares with the one before it all that it shares with any earlier one, so nodes are made by one walk.
 * @param maxLength K, at least every length
 */
export function buildForest(slices: Slices, maxLength: number, bucket = NODE_BUCKET): Forest {
  const { tokens, starts, lengths, ids } = slices;
  const order = Uint32Array.from({ length: starts.length }, (_, i) => i).sort((a, b) => compare(slices, a, b));
  const shared = order.map((own, i) => (i === 0 ? 0 : sharedPrefix(slices, order[i - 1], own)));
  const nodes = order.reduce((sum, own, i) => sum + lengths[own] - shared[i], 0);
  const padded = Math.max(1, Math.ceil(nodes / bucket)) * bucket;
  const result = {
    nodes,
    tokens: new Int32Array(padded).fill(-1),
    depths: new Int32Array(padded),
    ancestors: new Int32Array(padded * maxLength).fill(-1),
    ends: Int32Array.from({ length: padded }, (_, i) => i + 1),
    ids: new Int32Array(padded).fill(-1),
    last: new Int32Array(starts.length),
  };
  /** The nodes of the sequence before, from the root on; those that the next one does not share have no more descendants. */
  const path = new Int32Array(maxLength);
  let depth = 0;
  let next = 0;
  const leave = (down: number): void => {
    while (depth > down) result.ends[path[--depth]] = next;
  };
  for (const [i, own] of order.entries()) {
    leave(shared[i]);
    for (; depth < lengths[own]; depth++) {
      path[depth] = next;
      result.tokens[next] = tokens[starts[own] + depth];
      result.depths[next] = depth;
      for (let k = 0; k <= depth; k++) result.ancestors[next * maxLength + k] = path[depth - k];
      next++;
    }
    result.last[own] = path[depth - 1];
    if (ids !== undefined) result.ids[result.last[own]] = ids[own];
  }
  leave(0);
  for (let i = nodes; i < padded; i++) result.ancestors[i * maxLength] = i;
  return result;
}

/** A sequence comes after its prefixes. */
function compare({ tokens, starts, lengths }: Slices, a: number, b: number): number {
  const length = Math.min(lengths[a], lengths[b]);
  for (let i = 0; i < length; i++)
    if (tokens[starts[a] + i] !== tokens[starts[b] + i]) return tokens[starts[a] + i] - tokens[starts[b] + i];
  return lengths[a] - lengths[b];
}

function sharedPrefix({ tokens, starts, lengths }: Slices, a: number, b: number): number {
  let i = 0;
  while (i < lengths[a] && i < lengths[b] && tokens[starts[a] + i] === tokens[starts[b] + i]) i++;
  return i;
}

export interface BatchForest extends Forest {
  /** Per position the token; −1 where an f-gram ends there. */
  readonly baseTokens: Int32Array<ArrayBuffer>;
  /** Per position the node of the f-gram that ends there; −1 where none. */
  readonly nodeOf: Int32Array<ArrayBuffer>;
}

/**
 * The forest of windows that stand alone: a match is cut at its window's start (the set is closed under suffixes, so the rest is a member).
 * @param tokens [B·T] @param lengths [B·T] length of the longest f-gram that ends at each position, 1 for none @param T window length
 * @param options `ids` [B·T] of the f-gram that ends at each position, the match cut as said; needed for residual rows
 */
export function batchForest(
  tokens: ArrayLike<number>,
  lengths: ArrayLike<number>,
  T: number,
  maxLength: number,
  { bucket = NODE_BUCKET, ids }: { readonly bucket?: number; readonly ids?: ArrayLike<number> } = {},
): BatchForest {
  const positions: number[] = [];
  const starts: number[] = [];
  const sizes: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const length = Math.min(lengths[i], (i % T) + 1);
    if (length < 2) continue;
    positions.push(i);
    starts.push(i - length + 1);
    sizes.push(length);
  }
  const told = ids === undefined ? {} : { ids: positions.map((position) => ids[position]) };
  const forest = buildForest({ tokens, starts, lengths: sizes, ...told }, maxLength, bucket);
  const baseTokens = Int32Array.from({ length: tokens.length }, (_, i) => tokens[i]);
  const nodeOf = new Int32Array(tokens.length).fill(-1);
  positions.forEach((position, i) => {
    baseTokens[position] = -1;
    nodeOf[position] = forest.last[i];
  });
  return { ...forest, baseTokens, nodeOf };
}
