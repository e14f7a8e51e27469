/** The fast path of byte-level BPE: a scanner finds the pieces of UTF-8 text, a cache knows most of them, merges encode the rest. */

import { Merges } from './merges.js';
import { hashPiece, PieceCache } from './piece-cache.js';
import type { Scanner } from './scanner.js';
import type { TokenList } from './token-list.js';

/** Longer pieces seldom come twice. */
const MAX_CACHED = 64;

export interface BytePairOptions {
  readonly scan: Scanner;
  /** Left, right and joined id of each merge, by rank. */
  readonly merges: Int32Array;
  readonly byteIds: Int32Array;
  /** The id of a piece that is encoded as a whole whatever its merges say. */
  readonly wholePiece?: (piece: Uint8Array) => number | undefined;
}

export class BytePairEncoder {
  readonly #scan: Scanner;
  readonly #merges: Merges;
  readonly #byteIds: Int32Array;
  readonly #wholePiece: BytePairOptions['wholePiece'];
  readonly #cache = new PieceCache();

  constructor({ scan, merges, byteIds, wholePiece }: BytePairOptions) {
    this.#scan = scan;
    this.#merges = new Merges(merges, byteIds);
    this.#byteIds = byteIds;
    this.#wholePiece = wholePiece;
  }

  /** Appends the ids of UTF-8 text. */
  encode(bytes: Uint8Array, into: TokenList): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const scan = this.#scan;
    const cache = this.#cache;
    const byteIds = this.#byteIds;
    const end = bytes.length;
    for (let start = 0; start < end; ) {
      const stop = scan(bytes, start, end);
      // A piece has no more ids than bytes.
      into.reserve(stop - start);
      if (stop - start === 1) {
        into.ids[into.length++] = byteIds[bytes[start]];
      } else if (stop - start > MAX_CACHED) {
        this.#encodePiece(bytes, start, stop, into);
      } else {
        const hash = hashPiece(view, start, stop);
        const found = cache.find(view, start, stop, hash);
        if (found === 0) {
          const from = into.length;
          this.#encodePiece(bytes, start, stop, into);
          cache.add(view, start, stop, hash, into.ids, from, into.length);
        } else {
          const { words, count } = cache;
          const { ids } = into;
          let { length } = into;
          for (let i = found; i < found + count; i++) ids[length++] = words[i];
          into.length = length;
        }
      }
      start = stop;
    }
  }

  #encodePiece(bytes: Uint8Array, at: number, end: number, into: TokenList): void {
    const whole = this.#wholePiece?.(bytes.subarray(at, end));
    if (whole !== undefined) into.push(whole);
    else into.length = this.#merges.encode(bytes, at, end, into.ids, into.length);
  }
}
