/**
 * Finds the frames of a Zstandard stream without unpacking them, because fzstd allocates the window that a header asks for, takes a stream that ends
 * early for a whole one, and passes over the checksums of contents. [RFC 8878, 3.1]
 */

/** A decoder must support 8 MiB (RFC 8878, 3.1.1.1.2); `zstd --ultra -22` uses 128 MiB. */
const MAX_WINDOW_BYTES = 128 * 2 ** 20;

const MAGIC = 0xfd2fb528;

type Step = 'magic' | 'descriptor' | 'header' | 'block' | 'content' | 'last' | 'checksum' | 'skippable' | 'skipped';

/** Bytes of one frame, as they come. */
export interface FramePiece {
  readonly bytes: Uint8Array;
  /** Where they are the last ones of the frame. */
  readonly end?: {
    /** The byte of the stream that the frame begins at. */
    readonly from: number;
    /** The low 32 bits of XXH64 of what it unpacks to, if it says. */
    readonly checksum: number | undefined;
  };
}

export class ZstdFrames {
  #step: Step = 'magic';
  /** Bytes of the stream so far. */
  #position = 0;
  /** Where in the stream the frame at hand begins. */
  #from = 0;
  /** Bytes of the current step that are still to come. */
  #missing = 4;
  #field: number[] = [];
  #descriptor = 0;
  #frames = 0;

  /** @returns the frames' bytes without those of skippable frames @throws {Error} on a wrong magic number, an unknown block or a window that is too large */
  push(chunk: Uint8Array): FramePiece[] {
    const pieces: FramePiece[] = [];
    let pieceAt = 0;
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(this.#missing, chunk.length - at);
      const isContent = this.#step === 'content' || this.#step === 'last' || this.#step === 'skipped';
      if (!isContent) for (let i = 0; i < length; i++) this.#field.push(chunk[at + i]);
      at += length;
      this.#position += length;
      this.#missing -= length;
      while (this.#missing === 0) {
        const number = this.#number();
        const before = this.#step;
        [this.#step, this.#missing] = this.#next(number);
        this.#field = [];
        if (this.#step === 'descriptor') {
          // The magic number may have come in another chunk.
          pieces.push({ bytes: littleEndian(MAGIC) });
          this.#from = this.#position - 4;
        } else if (this.#step === 'magic') {
          if (before !== 'skipped') {
            const end = { from: this.#from, checksum: before === 'checksum' ? number : undefined };
            pieces.push({ bytes: chunk.subarray(pieceAt, at), end });
          }
        } else continue;
        pieceAt = at;
      }
    }
    const isInside = this.#step !== 'magic' && this.#step !== 'skippable' && this.#step !== 'skipped';
    if (isInside && pieceAt < chunk.length) pieces.push({ bytes: chunk.subarray(pieceAt) });
    return pieces;
  }

  /** @throws {Error} if the stream ends inside a frame */
  end(): void {
    if (this.#step !== 'magic' || this.#field.length > 0 || this.#frames === 0) throw new Error('the stream ends inside a frame');
  }

  #number(): number {
    return this.#field.reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
  }

  /** The step after the current one, and how many bytes it takes. @param number that the current one's bytes are */
  #next(number: number): [Step, number] {
    const field = this.#field;
    switch (this.#step) {
      case 'magic':
        if (number === MAGIC) return ['descriptor', 1];
        if (number >= 0x184d2a50 && number <= 0x184d2a5f) return ['skippable', 4];
        throw new Error('there is no Zstandard frame');
      case 'descriptor': {
        this.#descriptor = number;
        const isSingle = (number & 0x20) !== 0;
        const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][number >> 6];
        return ['header', (isSingle ? 0 : 1) + [0, 1, 2, 4][number & 3] + sizeBytes];
      }
      case 'header': {
        const isSingle = (this.#descriptor & 0x20) !== 0;
        const base = 2 ** (10 + (field[0] >> 3));
        const dictionaryBytes = [0, 1, 2, 4][this.#descriptor & 3];
        const size = field.slice(dictionaryBytes).reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
        const window = isSingle ? size : base + (base / 8) * (field[0] & 7);
        if (window > MAX_WINDOW_BYTES) throw new Error(`a window of ${window} bytes is larger than ${MAX_WINDOW_BYTES}`);
        return ['block', 3];
      }
      case 'block': {
        const type = (number >> 1) & 3;
        if (type === 3) throw new Error('a block has an unknown type');
        return [(number & 1) === 1 ? 'last' : 'content', type === 1 ? 1 : number >> 3];
      }
      case 'content':
        return ['block', 3];
      case 'skippable':
        return ['skipped', number];
      case 'last':
        if ((this.#descriptor & 4) !== 0) return ['checksum', 4];
        this.#frames++;
        return ['magic', 4];
      case 'checksum':
      case 'skipped':
        this.#frames++;
        return ['magic', 4];
    }
  }
}

function littleEndian(number: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, number, true);
  return bytes;
}
