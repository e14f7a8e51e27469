/**
 * Follows the frames of a Zstandard stream without unpacking them, because fzstd allocates the window that a header asks for and takes a stream
 * that ends early for a whole one. [RFC 8878, 3.1]
 */

/** A decoder must support 8 MiB (RFC 8878, 3.1.1.1.2); `zstd --ultra -22` uses 128 MiB. */
const MAX_WINDOW_BYTES = 128 * 2 ** 20;

type Step = 'magic' | 'descriptor' | 'header' | 'block' | 'content' | 'last' | 'skippable' | 'skipped';

export class ZstdFrames {
  #step: Step = 'magic';
  /** Bytes of the current step that are still to come. */
  #missing = 4;
  #field: number[] = [];
  #descriptor = 0;
  #frames = 0;

  /** @throws {Error} on a wrong magic number, an unknown block or a window that is too large */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(this.#missing, chunk.length - at);
      const isContent = this.#step === 'content' || this.#step === 'last' || this.#step === 'skipped';
      if (!isContent) for (let i = 0; i < length; i++) this.#field.push(chunk[at + i]);
      at += length;
      this.#missing -= length;
      while (this.#missing === 0) {
        [this.#step, this.#missing] = this.#next();
        this.#field = [];
      }
    }
  }

  /** @throws {Error} if the stream ends inside a frame */
  end(): void {
    if (this.#step !== 'magic' || this.#field.length > 0 || this.#frames === 0) throw new Error('the stream ends inside a frame');
  }

  /** The step after the current one, and how many bytes it takes. */
  #next(): [Step, number] {
    const field = this.#field;
    const number = field.reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
    switch (this.#step) {
      case 'magic':
        if (number === 0xfd2fb528) return ['descriptor', 1];
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
        const checksum = (number & 1) === 1 ? ((this.#descriptor >> 2) & 1) * 4 : 0;
        return [(number & 1) === 1 ? 'last' : 'content', (type === 1 ? 1 : number >> 3) + checksum];
      }
      case 'content':
        return ['block', 3];
      case 'skippable':
        return ['skipped', number];
      case 'last':
      case 'skipped':
        this.#frames++;
        return ['magic', 4];
    }
  }
}
