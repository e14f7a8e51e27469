/** Which split a document goes to, decided in the order of input: exact duplicates are dropped, and what is held out is never trained on. */
import { DigestSet } from './digest-set.js';

export const SPLITS = ['train', 'heldout'] as const;
export type Split = (typeof SPLITS)[number];

export class Selection {
  /** Documents that were dropped because an equal one came earlier in the same split. */
  duplicates = 0;
  /** Documents that were dropped from training because an equal one is held out. */
  heldoutInTraining = 0;
  readonly #seen: Readonly<Record<Split, DigestSet>> = { train: new DigestSet(), heldout: new DigestSet() };
  readonly #period: number;
  #count = 0;

  /** @param share of the training documents that is held out; 0 for none */
  constructor(share: number) {
    this.#period = share > 0 ? Math.round(1 / share) : 0;
  }

  /** @param split where it comes from; held-out documents come first @returns where it goes */
  place(digest: string, split: Split): Split | undefined {
    if (this.#seen.heldout.has(digest)) {
      if (split === 'train' && this.#period === 0) this.heldoutInTraining++;
      else this.duplicates++;
      return undefined;
    }
    if (this.#seen.train.has(digest)) {
      this.duplicates++;
      return undefined;
    }
    // One document in twenty, from the second on: a corpus of two has a held-out one.
    const place = split === 'train' && this.#period > 0 && this.#count++ % this.#period === 1 ? 'heldout' : split;
    this.#seen[place].add(digest);
    return place;
  }
}
