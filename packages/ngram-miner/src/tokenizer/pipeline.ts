/** Which tokenizers the fast path encodes: byte-level BPE whose every step is known to the letter. */
import { BYTE_TO_CHARACTER } from './byte-level.js';
import { SCANNERS, type Scanner, scanWhole, scanWords, scanWordsAndDigits } from './scanner.js';
import { type Component, partsOf, type TokenizerJson } from './tokenizer-json.js';

export interface Pieces {
  readonly scan: Scanner;
  /** A blank is put before a text that does not start with one. */
  readonly prefixBlank: boolean;
}

/** How the pre-tokenizer cuts text; undefined if the fast path does not know it. */
export function piecesOf(preTokenizer: Component | null | undefined): Pieces | undefined {
  if (preTokenizer?.type === 'ByteLevel') {
    return { scan: preTokenizer.use_regex === false ? scanWhole : scanWords, prefixBlank: preTokenizer.add_prefix_space === true };
  }
  if (preTokenizer?.type !== 'Sequence' || !Array.isArray(preTokenizer.pretokenizers) || preTokenizer.pretokenizers.length !== 2)
    return undefined;
  const [cut, bytes] = preTokenizer.pretokenizers as readonly Component[];
  if (bytes?.type !== 'ByteLevel' || bytes.add_prefix_space === true) return undefined;
  if (cut?.type === 'Digits' && cut.individual_digits === true && bytes.use_regex !== false)
    return { scan: scanWordsAndDigits, prefixBlank: false };
  if (cut?.type !== 'Split' || bytes.use_regex !== false) return undefined;
  const keepsAll = cut.invert === true ? cut.behavior === 'Removed' || cut.behavior === 'Isolated' : cut.behavior === 'Isolated';
  const scan = SCANNERS.get((cut.pattern as { readonly Regex?: string } | undefined)?.Regex ?? '');
  return keepsAll && scan !== undefined ? { scan, prefixBlank: false } : undefined;
}

const isEmpty = (field: unknown): boolean => field === undefined || field === null || field === '' || field === false;

/** The merges as ids (left, right, joined) by rank; undefined if this is no byte-level BPE in which every step has a token. */
export function mergesOf({ model }: TokenizerJson, ids: ReadonlyMap<string, number>): Int32Array | undefined {
  if (model.type !== undefined && model.type !== 'BPE') return undefined;
  if (!Array.isArray(model.merges) || Array.isArray(model.vocab)) return undefined;
  const { dropout, continuing_subword_prefix: prefix, continuing_subword_suffix, end_of_word_suffix, byte_fallback } = model;
  if (![dropout, prefix, continuing_subword_suffix, end_of_word_suffix, byte_fallback].every(isEmpty)) return undefined;
  if (BYTE_TO_CHARACTER.some((character) => !ids.has(character))) return undefined;
  const merges = new Int32Array(3 * model.merges.length);
  let at = 0;
  for (const merge of model.merges) {
    const [left, right] = partsOf(merge) ?? [];
    if (left === undefined || right === undefined) return undefined;
    const leftId = ids.get(left);
    const rightId = ids.get(right);
    const joined = ids.get(left + right);
    if (leftId === undefined || rightId === undefined || joined === undefined) return undefined;
    merges[at++] = leftId;
    merges[at++] = rightId;
    merges[at++] = joined;
  }
  return merges;
}
