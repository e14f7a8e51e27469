/** Several sequences on one model: what the engine needs of it, and the form in which every sequence has a session of its own. */
import { DecodeSession } from '@sconelm/decoder';
import { FgramSession, type Model, type SessionFgrams } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';

/** What a step does for one sequence. */
export interface SequenceWork {
  readonly slot: number;
  /** Appended to the sequence; at least one. */
  readonly tokens: ArrayLike<number>;
  /** Which positions' logits are wanted. */
  readonly wanted: 'none' | 'last' | 'all';
}

/** A model with a number of slots, each for one sequence at a time. A sequence's logits do not depend on its company. */
export interface BatchDecoder extends Disposable {
  readonly slots: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** @returns per work the logits wanted, [n, V], or why this sequence cannot go on */
  step(work: readonly SequenceWork[]): Promise<(Float32Array | Error)[]>;
  /** Forgets a slot's sequence. */
  clear(slot: number): void;
}

/** @param fgramsOf a matcher of its own for every sequence, and the store that all share; absent for a plain decoder */
export function sessionDecoder(
  device: Device,
  { config: { decoder }, parameters }: Model,
  { slots, fgramsOf }: { readonly slots: number; readonly fgramsOf?: (() => SessionFgrams) | undefined },
): BatchDecoder {
  const sessions: (DecodeSession | undefined)[] = Array.from({ length: slots });
  const sequences: (FgramSession | undefined)[] = Array.from({ length: slots });
  const { vocabSize, contextLength } = decoder;
  const sequenceOf = (slot: number) => {
    sessions[slot] ??= new DecodeSession(device, decoder, parameters);
    sequences[slot] ??= new FgramSession(sessions[slot], fgramsOf?.());
    return sequences[slot];
  };
  return {
    slots,
    vocabSize,
    contextLength,
    async step(work) {
      const results: (Float32Array | Error)[] = [];
      for (const { slot, tokens, wanted } of work) {
        try {
          const logits = await sequenceOf(slot).append(tokens);
          results.push(wanted === 'all' ? logits : wanted === 'last' ? logits.subarray(-vocabSize) : logits.subarray(0, 0));
        } catch (error) {
          results.push(error instanceof Error ? error : new Error(String(error)));
        }
      }
      return results;
    },
    clear(slot) {
      sessions[slot]?.reset();
      sequences[slot] = undefined;
    },
    [Symbol.dispose]() {
      for (const session of sessions) session?.[Symbol.dispose]();
    },
  };
}
