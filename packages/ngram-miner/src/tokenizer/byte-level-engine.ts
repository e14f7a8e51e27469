/** Byte-level BPE from text to ids and back: added tokens are cut out, the rest is normalised and goes to the fast path. */
import { AddedTokens } from './added-tokens.js';
import { BYTE_TO_CHARACTER } from './byte-level.js';
import { BytePairEncoder } from './byte-pair-encoder.js';
import type { Engine } from './engine.js';
import { mergesOf, type Pieces, piecesOf } from './pipeline.js';
import { TokenBytes } from './token-bytes.js';
import type { AddedToken, TokenizerJson } from './tokenizer-json.js';

type Encode = Engine['encode'];

const BLANK = 0x20;
/** U+0300, the first character that may not stand in a text in normal form C, starts with this byte in UTF-8. */
const FIRST_NOT_NORMAL = 0xcc;

/** @param inText the added tokens that are looked for in texts @returns undefined if the fast path does not know this tokenizer */
export function byteLevelEngine(
  json: TokenizerJson,
  vocabulary: ReadonlyMap<string, number>,
  inText: readonly AddedToken[],
): Engine | undefined {
  const pieces = piecesOf(json.pre_tokenizer);
  const normalizer = json.normalizer?.type;
  const isKnown =
    pieces !== undefined && (normalizer === undefined || normalizer === 'NFC') && inText.every(({ lstrip, rstrip }) => !lstrip && !rstrip);
  const merges = isKnown ? mergesOf(json, vocabulary) : undefined;
  if (pieces === undefined || merges === undefined) return undefined;

  const encodePieces = piecesEncoder(json, vocabulary, merges, pieces);
  let encode: Encode;
  if (normalizer === undefined) encode = cutAt(inText, encodePieces);
  else {
    // A normalised token is looked for in normalised text.
    const isNormalized = ({ normalized, special }: AddedToken): boolean => normalized ?? !special;
    const normalized = inText.filter(isNormalized).map(({ id, content }) => ({ id, content: content.normalize('NFC') }));
    const encodeNormalized = cutAt(normalized, encodePieces);
    encode = cutAt(
      inText.filter((token) => !isNormalized(token)),
      (text, into) => encodeNormalized(normalize(text), into),
    );
  }

  const added = new Set(json.added_tokens?.map(({ content }) => content));
  let tokenBytes: TokenBytes | undefined;
  return {
    encode,
    decode: (ids) => {
      tokenBytes ??= new TokenBytes(vocabulary, added);
      return tokenBytes.of(ids);
    },
  };
}

function piecesEncoder(
  { model, added_tokens }: TokenizerJson,
  vocabulary: ReadonlyMap<string, number>,
  merges: Int32Array,
  { scan, prefixBlank }: Pieces,
): Encode {
  const special = new Set(added_tokens?.filter((token) => token.special).map(({ content }) => content));
  // A character stands for a byte, so no longer piece is a token.
  let longest = 0;
  for (const token of vocabulary.keys()) longest = Math.max(longest, token.length);
  const wholePiece = (piece: Uint8Array): number | undefined => {
    if (piece.length > longest) return undefined;
    const token = Array.from(piece, (byte) => BYTE_TO_CHARACTER[byte]).join('');
    return special.has(token) ? undefined : vocabulary.get(token);
  };
  const encoder = new BytePairEncoder({
    scan,
    merges,
    byteIds: Int32Array.from(BYTE_TO_CHARACTER, (character) => vocabulary.get(character) as number),
    ...(model.ignore_merges === true && { wholePiece }),
  });
  if (!prefixBlank) return (text, into) => encoder.encode(text, into);
  return (text, into) => {
    let prefixed = text;
    if (text.length > 0 && text[0] !== BLANK) {
      prefixed = new Uint8Array(text.length + 1);
      prefixed[0] = BLANK;
      prefixed.set(text, 1);
    }
    encoder.encode(prefixed, into);
  };
}

/** Encodes added tokens as what they are, and what is between them by `next`. */
function cutAt(tokens: readonly Pick<AddedToken, 'id' | 'content'>[], next: Encode): Encode {
  if (tokens.length === 0) return next;
  const added = new AddedTokens(tokens);
  return (text, into) =>
    added.split(
      text,
      (between) => next(between, into),
      (id) => into.push(id),
    );
}

function normalize(bytes: Uint8Array): Uint8Array {
  if (!bytes.some((byte) => byte >= FIRST_NOT_NORMAL)) return bytes;
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  return new TextEncoder().encode(text.normalize('NFC'));
}
