/** The batch as it would be without a forest: the f-gram of every position is a sequence of its own, nothing is shared. */
import { type BatchForest, buildForest, NODE_BUCKET } from '@sconelm/fgram-model';

interface SeparateOptions {
  readonly bucket?: number;
  /** Every sequence is padded to K tokens, so that all have one shape. */
  readonly isPadded?: boolean;
}

/** What `batchForest` is for shared prefixes. @param lengths [B·T] @param T window length @param maxLength K */
export function separateForest(
  tokens: ArrayLike<number>,
  lengths: ArrayLike<number>,
  T: number,
  maxLength: number,
  { bucket = NODE_BUCKET, isPadded = false }: SeparateOptions = {},
): BatchForest {
  const baseTokens = Int32Array.from({ length: tokens.length }, (_, i) => tokens[i]);
  const nodeOf = new Int32Array(tokens.length).fill(-1);
  const last: number[] = [];
  let nodes = 0;
  for (let i = 0; i < tokens.length; i++) {
    const length = Math.min(lengths[i], (i % T) + 1);
    if (length < 2) continue;
    baseTokens[i] = -1;
    nodeOf[i] = nodes + length - 1;
    last.push(nodeOf[i]);
    nodes += isPadded ? maxLength : length;
  }
  // All padding, as a forest of nothing has it: sequences are written over it.
  const padded = Math.ceil(Math.max(1, nodes) / bucket) * bucket;
  const forest = buildForest({ tokens, starts: [], lengths: [] }, maxLength, padded);
  for (let i = 0; i < tokens.length; i++) {
    if (nodeOf[i] < 0) continue;
    const length = Math.min(lengths[i], (i % T) + 1);
    const first = nodeOf[i] - length + 1;
    for (let depth = 0; depth < length; depth++) {
      const node = first + depth;
      forest.tokens[node] = tokens[i - length + 1 + depth];
      forest.depths[node] = depth;
      forest.ends[node] = first + length;
      for (let k = 0; k <= depth; k++) forest.ancestors[node * maxLength + k] = node - k;
    }
  }
  return { ...forest, nodes, last: Int32Array.from(last), baseTokens, nodeOf };
}
