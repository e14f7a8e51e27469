/** Byte-level BPE from text to ids and back: added tokens are cut out, the rest is normalised and goes to the fast path. */
import { AddedTokens } from './added-tokens.js';
import { BYTE_TO_CHARACTER } from './byte-level.js';
import { BytePairEncoder } from './byte-pair-encoder.js';
import { mergesOf, piecesOf } from './pipeline.js';
import { TokenBytes } from './token-bytes.js';
import type { TokenList } from './token-list.js';
import type { AddedToken, TokenizerJson } from './tokenizer-json.js';

/** What a kind of tokenizer does; texts are UTF-8. */
export interface Engine {
  /** Appends the ids of a text. */
  encode(utf8: Uint8Array, into: TokenList): void;
  /** The bytes ids stand for. */
  decode(ids: ArrayLike<number>): Uint8Array;
}

const BLANK = 0x20;
/** Below U+0300, whose UTF-8 starts with this byte, every text is in normal form C. */
const FIRST_NOT_NORMAL = 0xcc;

/** @param inText the added tokens that are looked for in texts @returns undefined if the fast path does not know this tokenizer */
export function byteLevelEngine(
  json: TokenizerJson,
  vocabulary: ReadonlyMap<string, number>,
  inText: readonly AddedToken[],
): Engine | undefined {
  const pieces = piecesOf(json.pre_tokenizer);
  const normal = json.normalizer ?? undefined;
  if (pieces === undefined || (normal !== undefined && normal.type !== 'NFC')) return undefined;
  const merges = mergesOf(json);
  if (merges === undefined) return undefined;
  const added = new Set(json.added_tokens?.map(({ content }) => content));
  const special = new Set(json.added_tokens?.filter((token) => token.special).map(({ content }) => content));
  const encoder = new BytePairEncoder({
    scan: pieces.scan,
    merges,
    byteIds: Int32Array.from(BYTE_TO_CHARACTER, (character) => vocabulary.get(character) as number),
    ...(json.model.ignore_merges === true && {
      wholePiece: (piece) => {
        const token = Array.from(piece, (byte) => BYTE_TO_CHARACTER[byte]).join('');
        return special.has(token) ? undefined : vocabulary.get(token);
      },
    }),
  });
  const encodeText = (bytes: Uint8Array, into: TokenList): void => {
    if (!pieces.prefixBlank || bytes.length === 0 || bytes[0] === BLANK) {
      encoder.encode(bytes, 0, bytes.length, into);
      return;
    }
    const prefixed = new Uint8Array(bytes.length + 1);
    prefixed[0] = BLANK;
    prefixed.set(bytes, 1);
    encoder.encode(prefixed, 0, prefixed.length, into);
  };
  const cut = (tokens: readonly AddedToken[], next: typeof encodeText): typeof encodeText => {
    if (tokens.length === 0) return next;
    const addedTokens = new AddedTokens(tokens);
    return (bytes, into) =>
      addedTokens.split(
        bytes,
        (at, end) => next(bytes.subarray(at, end), into),
        (id) => into.push(id),
      );
  };
  let encode = encodeText;
  if (normal === undefined) encode = cut(inText, encodeText);
  else {
    const normalized = inText
      .filter((token) => token.normalized ?? !token.special)
      .map((token) => ({ ...token, content: token.content.normalize('NFC') }));
    const cutNormalized = cut(normalized, encodeText);
    encode = cut(
      inText.filter((token) => !(token.normalized ?? !token.special)),
      (bytes, into) => cutNormalized(normalize(bytes), into),
    );
  }
  let tokenBytes: TokenBytes | undefined;
  return {
    encode,
    decode: (ids) => {
      tokenBytes ??= new TokenBytes(vocabulary, added);
      return tokenBytes.of(ids);
    },
  };
}

function normalize(bytes: Uint8Array): Uint8Array {
  if (!bytes.some((byte) => byte >= FIRST_NOT_NORMAL)) return bytes;
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  return new TextEncoder().encode(text.normalize('NFC'));
}
