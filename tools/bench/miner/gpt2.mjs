/** GPT-2's vocabulary as Hugging Face's tokenizer.json, made from the ranks that the npm package tiktoken ships. [Radford et al., 2019] */
import { createRequire } from 'node:module';

const peers = createRequire(new URL('../peers/package.json', import.meta.url));

/** A printable character for each byte. */
const CHARACTERS = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
})();

/** The two tokens that became this one: what is left of its bytes once every merge of a lower rank is done. */
function mergeOf(/** @type {string} */ token, /** @type {Map<string, number>} */ ranks) {
  const rank = /** @type {number} */ (ranks.get(token));
  let parts = [...token];
  while (parts.length > 2) {
    let best = -1;
    let lowest = rank;
    for (let i = 0; i + 1 < parts.length; i++) {
      const found = ranks.get(parts[i] + parts[i + 1]) ?? rank;
      if (found < lowest) [best, lowest] = [i, found];
    }
    if (best < 0) throw new Error(`token ${rank} of GPT-2 is no merge of two others`);
    parts = [...parts.slice(0, best), parts[best] + parts[best + 1], ...parts.slice(best + 2)];
  }
  return parts.join(' ');
}

export function gpt2TokenizerJson() {
  const { bpe_ranks: text, special_tokens: special } = peers('tiktoken/encoders/gpt2.json');
  const ranks = new Map();
  for (const line of text.split('\n')) {
    const [, first, ...tokens] = line.split(' ');
    tokens.forEach((/** @type {string} */ base64, /** @type {number} */ i) => {
      ranks.set([...Buffer.from(base64, 'base64')].map((byte) => CHARACTERS[byte]).join(''), Number(first) + i);
    });
  }
  const merges = [...ranks].filter(([token]) => token.length > 1).sort(([, a], [, b]) => a - b);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: Object.entries(special).map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab: { ...Object.fromEntries(ranks), ...special },
      merges: merges.map(([token]) => mergeOf(token, ranks)),
    },
  };
}
