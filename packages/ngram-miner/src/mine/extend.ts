/** A set and what another corpus adds to it: old ids stay, so rows that are stored by id stay too. */
import { MinerError } from '../errors.js';
import type { FgramSet } from '../fgrams/fgram-set.js';
import type { RankedFgrams } from '../fgrams/ranked.js';

/**
 * The old f-grams with their counts, then those of `added` that are not among them, in order of their rank there. Both sets are closed under prefix and
 * suffix, so both together are, and a prefix still comes before what extends it.
 * @throws {MinerError} MINE_OPTION where the tokens are not the same
 */
export function extendFgrams(old: FgramSet, added: RankedFgrams): RankedFgrams {
  const { vocabSize, boundary } = added;
  if (old.vocabSize !== vocabSize || old.boundary !== boundary) {
    const what = `the older set has ${old.vocabSize} tokens and ${old.boundary} opens its documents; this corpus has ${vocabSize} and ${boundary}`;
    throw new MinerError('MINE_OPTION', what, 'Extend a set with text of the same tokenizer.');
  }
  /** By id in `added`: the node in the set of both. */
  const nodes = new Uint32Array(added.size);
  const nodeOf = (node: number) => (node < vocabSize ? node : nodes[node - vocabSize]);
  let size = old.size;
  for (let id = 0; id < added.size; id++) {
    // What extends a new f-gram is new.
    const isNew = nodeOf(added.parents[id]) >= vocabSize + old.size;
    const known = isNew ? -1 : old.idOf(tokensOf(added, id));
    nodes[id] = vocabSize + (known < 0 ? size++ : known);
  }
  const parents = new Uint32Array(size);
  const tokens = new Uint32Array(size);
  const counts = new Float64Array(size);
  for (let id = 0; id < old.size; id++) {
    const own = old.tokensOf(id);
    parents[id] = own.length === 2 ? own[0] : vocabSize + old.idOf(own.subarray(0, -1));
    tokens[id] = own[own.length - 1];
    counts[id] = old.countOf(id);
  }
  for (let id = 0; id < added.size; id++) {
    const own = nodes[id] - vocabSize;
    if (own < old.size) continue;
    parents[own] = nodeOf(added.parents[id]);
    tokens[own] = added.tokens[id];
    counts[own] = added.counts[id];
  }
  return { size, maxLength: Math.max(old.maxLength, added.maxLength), vocabSize, boundary, parents, tokens, counts };
}

function tokensOf({ parents, tokens, vocabSize }: RankedFgrams, id: number): number[] {
  const found = [tokens[id]];
  let node = parents[id];
  for (; node >= vocabSize; node = parents[node - vocabSize]) found.unshift(tokens[node - vocabSize]);
  return [node, ...found];
}
