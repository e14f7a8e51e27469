/** A model for tests, without a device. */
import type { BatchDecoder } from '../engine/batch-decoder.js';

export interface HashingOptions {
  readonly slots: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Positions in a block; 4 by default. */
  readonly blockPositions?: number;
  /** Default: as many as all slots take with full contexts. */
  readonly blocks?: number;
  /** A sequence that fails. */
  readonly failAt?: (tokens: readonly number[]) => boolean;
  /** Before each step. */
  readonly wait?: () => Promise<void>;
}

/** Logits are a hash of the whole sequence as its blocks hold it: one wrong token, place or block changes all that follow. */
export function hashingDecoder({
  slots,
  vocabSize,
  contextLength,
  blockPositions = 4,
  blocks = slots * Math.ceil(contextLength / blockPositions),
  failAt,
  wait,
}: HashingOptions): BatchDecoder & { largestStep(): number } {
  const cache = new Int32Array(blocks * blockPositions).fill(-1);
  /** What a matcher of each slot would have seen. */
  const seen: number[][] = Array.from({ length: slots }, () => []);
  let largest = 0;
  return {
    slots,
    blocks,
    blockPositions,
    vocabSize,
    contextLength,
    largestStep: () => largest,
    async step(work) {
      await wait?.();
      largest = Math.max(largest, ...work.map(({ tokens }) => tokens.length));
      const written = new Set<number>();
      for (const own of work) {
        if (own.tokens.length === 0) throw new Error(`slot ${own.slot} has nothing to read in a step`);
        for (let i = 0; i < own.tokens.length; i++) {
          const at = placeIn(own.blocks, own.start + i);
          if (written.has(at)) throw new Error(`place ${at} is written twice in a step`);
          written.add(at);
          cache[at] = own.tokens[i];
        }
      }
      return work.map(({ slot, blocks: table, start, tokens, wanted }) => {
        const sequence = Array.from({ length: start + tokens.length }, (_, i) => cache[placeIn(table, i)]);
        seen[slot].push(...Array.from(tokens));
        if (seen[slot].join() !== sequence.join()) throw new Error(`slot ${slot} has seen other tokens than its blocks hold`);
        if (failAt?.(sequence)) return Object.assign(new Error('the store is away'), { code: 'STORE_IO', remedy: 'Wait.' });
        const rows: number[] = [];
        let h = 17;
        sequence.forEach((token, i) => {
          h = Math.imul(h ^ token, 0x01000193) + 0x9e3779b9;
          if (i < start || !(wanted === 'all' || (wanted === 'last' && i + 1 === sequence.length))) return;
          for (let v = 0; v < vocabSize; v++) rows.push(((Math.imul(h, v * 2 + 1) >>> 8) % 1000) / 200);
        });
        return { logits: Float32Array.from(rows), isMakeshift: false };
      });
    },
    begin(slot, prefix) {
      seen[slot] = Array.from(prefix);
    },
    [Symbol.dispose]() {},
  };

  function placeIn(table: readonly number[], position: number): number {
    const block = table[Math.floor(position / blockPositions)];
    if (block === undefined) throw new Error(`position ${position} is beyond ${table.length} blocks`);
    return block * blockPositions + (position % blockPositions);
  }
}

/** For `wait`: every third step takes its time. */
export function slowNowAndThen(): () => Promise<void> {
  let steps = 0;
  return async () => {
    steps += 1;
    if (steps % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
  };
}
