/**
 * A sample of the rows that are served is computed again and compared. That can be done because a row is a function of the f-gram model, the token
 * table and the f-gram alone.
 */
import type { RowStore } from '@sconelm/offload-store';
import type { SequenceFgrams } from './engine/batch-decoder.js';

/** How far a row may be from the one computed, as a share of its largest element: the rounding of its dtype, and of another adapter's sums. */
const TOLERANCE = { f32: 0.01, f16: 0.01, bf16: 0.02, int8: 0.02, int4: 0.16 } as const;

export interface VerificationOptions {
  /** Of the rows that are read: 0.001 is one of a thousand. */
  readonly share: number;
  /** Computes rows anew. */
  readonly compute: (ids: Uint32Array, into: Float32Array) => Promise<void>;
  /** Told of each row that is another than the one computed; of rows that cannot be computed too. */
  readonly onMismatch: (message: string) => void;
}

export class VerifiedRows {
  /** Rows that were compared, and those of them that were others. */
  checked = 0;
  mismatches = 0;
  readonly #store: RowStore;
  readonly #options: VerificationOptions;
  /** Rows that are owed to the sample. */
  #owed = 0;
  #checking: Promise<void> | undefined;

  constructor(store: RowStore, options: VerificationOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The store, some of whose rows are compared after they were given out: no one waits for it. */
  get rows(): SequenceFgrams['rows'] {
    const store = this.#store;
    return {
      tierOf: (id) => store.tierOf(id),
      read: (ids, into, options) => {
        const answer = store.read(ids, into, options);
        if (answer === undefined) return this.#sample(ids, into, options.lost);
        return answer.then(() => this.#sample(ids, into, options.lost));
      },
    };
  }

  /** Takes at most one row of a read, and none while one is being compared: decoding has the device first. */
  #sample(ids: Uint32Array, into: Float32Array, lost: Uint8Array): void {
    this.#owed = Math.min(1, this.#owed + ids.length * this.#options.share);
    if (this.#owed < 1 || this.#checking !== undefined) return;
    const at = (this.checked * 31) % ids.length;
    if (lost[at] === 1) return;
    this.#owed = 0;
    const { width } = this.#store;
    this.#checking = this.#check(ids[at], into.slice(at * width, (at + 1) * width)).finally(() => {
      this.#checking = undefined;
    });
  }

  async #check(id: number, served: Float32Array): Promise<void> {
    const { compute, onMismatch } = this.#options;
    const computed = new Float32Array(served.length);
    try {
      await compute(Uint32Array.of(id), computed);
    } catch (error) {
      onMismatch(`row ${id} could not be computed for comparison: ${error instanceof Error ? error.message : error}`);
      return;
    }
    this.checked += 1;
    let largest = 0;
    let apart = 0;
    for (let i = 0; i < served.length; i++) {
      largest = Math.max(largest, Math.abs(computed[i]));
      apart = Math.max(apart, Math.abs(computed[i] - served[i]));
    }
    if (apart <= TOLERANCE[this.#store.dtype] * largest) return;
    this.mismatches += 1;
    onMismatch(`row ${id} of ${this.#store.url} is another than the one computed: ${apart} apart, its largest element ${largest}`);
  }

  /** When the row at hand is compared. */
  async settled(): Promise<void> {
    await this.#checking;
  }
}
