/** A model for tests, without a device. */
import type { BatchDecoder } from '../engine/batch-decoder.js';

export interface HashingOptions {
  readonly slots: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** A sequence that fails. */
  readonly failAt?: (tokens: readonly number[]) => boolean;
  /** Before each step. */
  readonly wait?: () => Promise<void>;
}

/** Logits are a hash of the whole sequence: one wrong token, place or slot changes all that follow. */
export function hashingDecoder({
  slots,
  vocabSize,
  contextLength,
  failAt,
  wait,
}: HashingOptions): BatchDecoder & { largestStep(): number } {
  const sequences: number[][] = Array.from({ length: slots }, () => []);
  let largest = 0;
  return {
    slots,
    vocabSize,
    contextLength,
    largestStep: () => largest,
    async step(work) {
      await wait?.();
      largest = Math.max(largest, ...work.map(({ tokens }) => tokens.length));
      return work.map(({ slot, tokens, wanted }) => {
        const rows = Array.from(tokens, (token) => {
          sequences[slot].push(token);
          let h = 17;
          for (const before of sequences[slot]) h = Math.imul(h ^ before, 0x01000193) + 0x9e3779b9;
          return Float32Array.from({ length: vocabSize }, (_, v) => ((Math.imul(h, v * 2 + 1) >>> 8) % 1000) / 200);
        });
        if (failAt?.(sequences[slot])) return Object.assign(new Error('the store is away'), { code: 'STORE_IO', remedy: 'Wait.' });
        const chosen = wanted === 'all' ? rows : wanted === 'last' ? rows.slice(-1) : [];
        return Float32Array.from(chosen.flatMap((row) => [...row]));
      });
    },
    restart(slot, prefix) {
      const kept = sequences[slot].slice(0, prefix.length);
      if (kept.length !== prefix.length || kept.some((token, i) => token !== prefix[i])) throw new Error(`slot ${slot} does not begin so`);
      sequences[slot] = kept;
      return prefix.length;
    },
    [Symbol.dispose]() {},
  };
}
