/**
 * node match.mjs map|trie: the longest f-gram that ends at each token, by a Map of strings and by a trie of sorted children with suffix links
 * (Aho & Corasick, 1975). Both stand for what one writes who has no library at hand.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { matching } from '../miner/matching.mjs';

const [name] = process.argv.splice(2, 1);

/** Ids by the tokens as a string of UTF-16 code units, longest first. @param {import('../miner/matching.mjs').Records} records */
function mapMatcher({ size, maxLength, lengthOf, tokenOf }) {
  const ids = new Map();
  for (let id = 0; id < size; id++) {
    let key = '';
    for (let i = 0; i < lengthOf(id); i++) key += String.fromCharCode(tokenOf(id, i));
    ids.set(key, id);
  }
  return (boundary) => {
    let context = '';
    return {
      length: 1,
      push(token) {
        if (token === boundary) context = '';
        context = (context + String.fromCharCode(token)).slice(-maxLength);
        for (let from = 0; from + 1 < context.length; from++) {
          const id = ids.get(from === 0 ? context : context.slice(from));
          if (id === undefined) continue;
          this.length = context.length - from;
          return id;
        }
        this.length = 1;
        return -1;
      },
    };
  };
}

/** Nodes in the order (parent, token): children of one node lie side by side and are found by bisection. */
function trieMatcher({ size, maxLength, lengthOf, tokenOf }, vocabSize) {
  // Records by length, then by tokens: the order of a breadth-first trie.
  const order = Array.from({ length: maxLength + 1 }, () => /** @type {number[]} */ ([]));
  for (let id = 0; id < size; id++) order[lengthOf(id)].push(id);
  const compare = (a, b) => {
    for (let i = 0; i < maxLength; i++) {
      const difference = tokenOf(a, i) - tokenOf(b, i);
      if (difference !== 0) return difference;
    }
    return 0;
  };
  // Nodes 0 ... V−1 are the tokens; node V + j is the j-th of the sorted f-grams.
  const idOf = new Int32Array(size);
  const tokens = new Uint16Array(size);
  const links = new Uint32Array(vocabSize + size);
  const first = new Uint32Array(vocabSize + size + 1);
  const child = (node, token) => {
    let low = first[node];
    let high = first[node + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tokens[middle] < token) low = middle + 1;
      else high = middle;
    }
    return low < first[node + 1] && tokens[low] === token ? vocabSize + low : -1;
  };
  let at = 0;
  let parent = 0;
  const parents = new Uint32Array(size);
  let previous = { start: 0, ids: /** @type {number[]} */ ([]) };
  for (let n = 2; n <= maxLength; n++) {
    const ids = order[n].sort(compare);
    const start = at;
    let cursor = 0;
    for (const id of ids) {
      let node = tokenOf(id, 0);
      if (n > 2) {
        // The shorter ones are sorted too: the prefix is found by going on from the last.
        const matches = (j) => {
          for (let i = 0; i < n - 1; i++) if (tokenOf(previous.ids[j], i) !== tokenOf(id, i)) return false;
          return true;
        };
        while (!matches(cursor)) cursor++;
        node = vocabSize + previous.start + cursor;
      }
      while (parent < node) first[++parent] = at;
      idOf[at] = id;
      tokens[at] = tokenOf(id, n - 1);
      parents[at] = node;
      at++;
    }
    previous = { start, ids };
  }
  while (parent < vocabSize + size) first[++parent] = at;
  // The link of (parent, token) is the child of the parent's link: the set holds every suffix of an f-gram.
  for (let j = 0; j < size; j++) links[vocabSize + j] = parents[j] < vocabSize ? tokens[j] : child(links[parents[j]], tokens[j]);
  const depths = new Uint8Array(vocabSize + size).fill(1, 0, vocabSize);
  for (let j = 0; j < size; j++) depths[vocabSize + j] = depths[parents[j]] + 1;
  return (boundary) => {
    let node = -1;
    return {
      length: 1,
      push(token) {
        let next = -1;
        if (token !== boundary) for (; node >= 0 && next < 0; node = node < vocabSize ? -1 : links[node]) next = child(node, token);
        node = next < 0 ? token : next;
        this.length = depths[node];
        return node < vocabSize ? -1 : idOf[node - vocabSize];
      },
    };
  };
}

matching(async ({ answer, size, maxLength, vocabSize }) => {
  const width = 2 + maxLength;
  const bytes = readFileSync(answer).subarray(0, 2 * width * size);
  const words = new Uint16Array(bytes.buffer, bytes.byteOffset, width * size);
  const records = {
    size,
    maxLength,
    tokenOf: (id, i) => words[id * width + 2 + i],
    lengthOf: (id) => {
      let n = maxLength;
      while (words[id * width + 1 + n] === 0xffff) n--;
      return n;
    },
  };
  return name === 'map' ? mapMatcher(records) : trieMatcher(records, vocabSize);
});
