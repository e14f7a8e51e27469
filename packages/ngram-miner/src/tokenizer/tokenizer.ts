/** Byte-level BPE in the form of Hugging Face's tokenizer.json: encode, decode. Runs in browsers. [Sennrich et al., 2016] */
import { MinerError } from '../errors.js';
import { BYTE_TO_CHARACTER, CHARACTER_TO_BYTE, PIECES } from './byte-level.js';

export const END_OF_TEXT = '<|endoftext|>';

export interface TokenizerJson {
  readonly model: {
    readonly type: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
  readonly pre_tokenizer?: unknown;
  readonly added_tokens?: readonly { readonly id: number; readonly content: string; readonly [field: string]: unknown }[];
  readonly [field: string]: unknown;
}

/** Longer pieces are rare and not kept. */
const MAX_CACHED = 64;
const MAX_CACHE_SIZE = 500_000;

export class Tokenizer {
  readonly vocabSize: number;
  /** The id of `<|endoftext|>`, which opens every document. */
  readonly endOfText: number;
  readonly #texts: readonly string[];
  readonly #byteIds: Int32Array;
  /** left · vocabulary + right -> rank, and the id the pair becomes. */
  readonly #merges = new Map<number, { readonly rank: number; readonly id: number }>();
  readonly #cache = new Map<string, readonly number[]>();
  readonly #utf8 = new TextEncoder();

  private constructor(json: TokenizerJson) {
    const { vocab, merges, type } = json.model;
    const unsupported = (what: string) =>
      new MinerError('TOKENIZER_UNSUPPORTED', `tokenizer.json: ${what}`, 'Use a byte-level BPE tokenizer (GPT-2’s form).');
    if (type !== 'BPE') throw unsupported(`the model is ${String(type)}, not BPE`);
    const added = json.added_tokens ?? [];
    const entries: [string, number][] = [...Object.entries(vocab), ...added.map(({ content, id }): [string, number] => [content, id])];
    this.vocabSize = entries.reduce((size, [, id]) => Math.max(size, id + 1), 0);
    const texts = new Array<string>(this.vocabSize).fill('');
    for (const [text, id] of entries) texts[id] = text;
    this.#texts = texts;
    const endOfText = new Map(entries).get(END_OF_TEXT);
    if (endOfText === undefined) throw unsupported(`it has no ${END_OF_TEXT} token`);
    this.endOfText = endOfText;
    this.#byteIds = Int32Array.from(BYTE_TO_CHARACTER, (character) => {
      const id = vocab[character];
      if (id === undefined) throw unsupported(`its vocabulary lacks the byte '${character}'`);
      return id;
    });
    merges.forEach((merge, rank) => {
      const [left, right] = typeof merge === 'string' ? merge.split(' ') : merge;
      const ids = [vocab[left], vocab[right], vocab[left + right]];
      if (ids.includes(undefined as never)) throw unsupported(`merge ${rank} ('${left}' '${right}') is not in its vocabulary`);
      this.#merges.set(ids[0] * this.vocabSize + ids[1], { rank, id: ids[2] });
    });
  }

  /** @throws {MinerError} TOKENIZER_UNSUPPORTED */
  static parse(json: string | TokenizerJson): Tokenizer {
    let content: TokenizerJson;
    try {
      content = typeof json === 'string' ? JSON.parse(json) : json;
    } catch (cause) {
      throw new MinerError('TOKENIZER_UNSUPPORTED', 'tokenizer.json is not JSON', 'Copy the file again.', cause);
    }
    if (typeof content?.model?.vocab !== 'object' || !Array.isArray(content.model.merges)) {
      throw new MinerError(
        'TOKENIZER_UNSUPPORTED',
        'tokenizer.json has no model with vocab and merges',
        'Use a byte-level BPE tokenizer (GPT-2’s form).',
      );
    }
    return new Tokenizer(content);
  }

  /** Token ids of text. Special tokens in it are taken as plain text. */
  encode(text: string): Uint32Array {
    const ids: number[] = [];
    for (const [piece] of text.matchAll(PIECES)) for (const id of this.#encodePiece(piece)) ids.push(id);
    return Uint32Array.from(ids);
  }

  #encodePiece(piece: string): readonly number[] {
    const known = this.#cache.get(piece);
    if (known !== undefined) return known;
    const ids = Array.from(this.#utf8.encode(piece), (byte) => this.#byteIds[byte]);
    while (ids.length > 1) {
      let best: { readonly rank: number; readonly id: number } | undefined;
      let at = 0;
      for (let i = 0; i + 1 < ids.length; i++) {
        const merge = this.#merges.get(ids[i] * this.vocabSize + ids[i + 1]);
        if (merge !== undefined && (best === undefined || merge.rank < best.rank)) {
          best = merge;
          at = i;
        }
      }
      if (best === undefined) break;
      ids.splice(at, 2, best.id);
    }
    if (piece.length <= MAX_CACHED && this.#cache.size < MAX_CACHE_SIZE) this.#cache.set(piece, ids);
    return ids;
  }

  /** The bytes that tokens stand for; `<|endoftext|>` stands for its own name. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    const bytes: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const text = this.#texts[ids[i]] ?? '';
      for (const character of text) {
        const byte = CHARACTER_TO_BYTE.get(character);
        if (byte !== undefined) bytes.push(byte);
      }
    }
    return Uint8Array.from(bytes);
  }

  /** Text of tokens; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>): string {
    return new TextDecoder().decode(this.decodeBytes(ids));
  }

  /** Text of one token. */
  tokenText(id: number): string {
    return this.decode([id]);
  }
}
