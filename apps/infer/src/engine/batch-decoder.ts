/** Several sequences on one model: what the engine needs of it, and the form that runs on a device, with f-grams. */
import { BatchSession } from '@sconelm/decoder';
import { type InferenceModel, type LookedUp, lookUp, type SessionFgrams } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import type { LookUp } from './request.js';

/** What a step does for one sequence. */
export interface SequenceWork {
  readonly slot: number;
  /** Appended to the sequence; at least one. */
  readonly tokens: ArrayLike<number>;
  /** Which positions' logits are wanted. */
  readonly wanted: 'none' | 'last' | 'all';
  /** Tokens of the longest f-gram that is looked up; absent: no limit. */
  readonly fgramLimit?: number | undefined;
  /** Told what was looked up. */
  readonly onLookUp?: ((lookUp: LookUp) => void) | undefined;
}

/** The f-grams of one sequence. */
export interface SequenceFgrams extends SessionFgrams {
  readonly matcher: SessionFgrams['matcher'] & {
    /** The f-gram of `length` tokens that ends at the last token; −1 where none. */
    idOfLength(length: number): number;
  };
  readonly rows: SessionFgrams['rows'] & {
    /** Where a row would be read from now. */
    tierOf(id: number): string;
  };
}

/** A model with a number of slots, each for one sequence at a time. A sequence's logits do not depend on its company. */
export interface BatchDecoder extends Disposable {
  readonly slots: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** @returns per work the logits wanted, [n, V], or why this sequence cannot go on */
  step(work: readonly SequenceWork[]): Promise<(Float32Array | Error)[]>;
  /**
   * Starts a new sequence in a slot.
   * @param prefix of the sequence before it there, with which the new one begins too
   * @returns how many tokens of it are kept: all, or none where some of it was not computed from its rows
   */
  restart(slot: number, prefix: ArrayLike<number>): number;
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** @param fgramsOf a matcher of its own for every sequence, and the store that all share; absent for a plain decoder */
export function batchDecoder(
  device: Device,
  { config: { decoder }, parameters }: InferenceModel,
  { slots, fgramsOf }: { readonly slots: number; readonly fgramsOf?: (() => SequenceFgrams) | undefined },
): BatchDecoder {
  const session = new BatchSession(device, decoder, parameters, { slots });
  const fgrams = Array.from({ length: slots }, () => fgramsOf?.());
  /** Slots in which a lost row left its place to the token: good enough for that sequence, not for others. */
  const makeshift = new Set<number>();
  const { vocabSize, contextLength, width } = decoder;

  /** The f-grams that end at each of the tokens, of id −1 where none: the matcher has then seen them. */
  const matchesOf = ({ slot, tokens, fgramLimit = Infinity }: SequenceWork) => {
    const matcher = fgrams[slot]?.matcher;
    return Array.from(tokens, (token) => {
      const id = matcher?.push(token) ?? -1;
      const length = matcher?.length ?? 1;
      return matcher === undefined || length <= fgramLimit ? { id, length } : { id: matcher.idOfLength(fgramLimit), length: fgramLimit };
    });
  };
  const lookUpOne = ({ slot, tokens }: SequenceWork, ids: readonly number[]) => lookUp(fgrams[slot]?.rows, tokens, ids, width);

  /** Reads all rows of a step at once; where that fails, each sequence's by themselves, so that it fails for those whose rows cannot be had. */
  const lookUpAll = async (work: readonly SequenceWork[], ids: readonly (readonly number[])[]): Promise<(LookedUp | Error)[]> => {
    try {
      const tokens = work.flatMap((own) => Array.from(own.tokens));
      const found = await lookUp(fgrams[0]?.rows, tokens, ids.flat(), width);
      let at = 0;
      return work.map((own) => {
        const from = at;
        at += own.tokens.length;
        return { tokens: found.tokens.subarray(from, at), rows: found.rows.subarray(from * width, at * width) };
      });
    } catch {
      return Promise.all(work.map((own, i) => lookUpOne(own, ids[i]).catch(asError)));
    }
  };

  return {
    slots,
    vocabSize,
    contextLength,
    async step(work) {
      const matches = work.map(matchesOf);
      const ids = matches.map((own) => own.map(({ id }) => id));
      // Before they are read: a cache has them afterwards.
      const tiers = work.map(({ slot, onLookUp }, i) => onLookUp && ids[i].map((id) => (id < 0 ? '' : fgrams[slot]?.rows.tierOf(id))));
      const started = performance.now();
      const looked = await lookUpAll(work, ids);
      const ms = performance.now() - started;
      const able = work.flatMap(({ slot, wanted, onLookUp }, i) => {
        const found = looked[i];
        if (found instanceof Error) return [];
        const isLost = (at: number) => found.tokens[at] !== -1;
        if (ids[i].some((id, at) => id >= 0 && isLost(at))) makeshift.add(slot);
        onLookUp?.({
          fgrams: matches[i].map((match, at) =>
            match.id < 0 ? undefined : { ...match, tier: isLost(at) ? 'lost' : (tiers[i]?.[at] ?? '') },
          ),
          ms,
        });
        return [{ ...found, slot, wanted, i }];
      });
      const results: (Float32Array | Error)[] = looked.map((found) => (found instanceof Error ? found : new Float32Array()));
      try {
        const logits = await session.step(able);
        able.forEach(({ i }, at) => {
          results[i] = logits[at];
        });
      } catch (error) {
        for (const { i } of able) results[i] = asError(error);
      }
      return results;
    },
    restart(slot, prefix) {
      const kept = makeshift.has(slot) ? 0 : prefix.length;
      makeshift.delete(slot);
      session.truncate(slot, kept);
      const matcher = fgrams[slot]?.matcher;
      matcher?.reset();
      for (let i = 0; i < kept; i++) matcher?.push(prefix[i]);
      return kept;
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}
