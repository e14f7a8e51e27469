/** Several sequences on one model: what the engine needs of it, and the form that runs on a device, with f-grams. */
import { BatchSession, blockPositions, contextBlocks } from '@sconelm/decoder';
import { type InferenceModel, type LookedUp, lookUp, packedDtypeOf, rowElements, type SessionFgrams } from '@sconelm/fgram-model';
import type { Device } from '@sconelm/tensor-webgpu';
import type { LookUpCounts } from './look-up-counts.js';
import type { LookUp } from './request.js';

/** What a step does for one sequence. */
export interface SequenceWork {
  readonly slot: number;
  /** Blocks of the cache in which its positions are, in order, those of the tokens too. */
  readonly blocks: readonly number[];
  /** Positions that are there already. */
  readonly start: number;
  /** Appended to the sequence; at least one. */
  readonly tokens: ArrayLike<number>;
  /** Which positions' logits are wanted. */
  readonly wanted: 'none' | 'last' | 'all';
  /** Tokens of the longest f-gram that is looked up; absent: no limit. */
  readonly fgramLimit?: number | undefined;
  /** The sequence had read them before it gave its blocks back. */
  readonly isRepeat?: boolean | undefined;
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

export interface StepResult {
  /** Those wanted, [n, V]. */
  readonly logits: Float32Array;
  /** A row was lost and left its place to the token: good enough for this sequence, no beginning for others. */
  readonly isMakeshift: boolean;
}

/** A model with a number of slots, each for one sequence at a time, and blocks of cache. A sequence's logits do not depend on its company. */
export interface BatchDecoder extends Disposable {
  readonly slots: number;
  readonly blocks: number;
  /** Positions in a block. */
  readonly blockPositions: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  /** @returns per work what came of it, or why this sequence cannot go on */
  step(work: readonly SequenceWork[]): Promise<(StepResult | Error)[]>;
  /** Another sequence begins in a slot. @param prefix what blocks hold of it already */
  begin(slot: number, prefix: ArrayLike<number>): void;
}

const isCorrupt = (error: Error) => 'code' in error && error.code === 'STORE_CORRUPT';
const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

export interface BatchDecoderOptions {
  readonly slots: number;
  /** Of the cache. Default: as many as all slots take with full contexts. */
  readonly blocks?: number | undefined;
  /** A matcher of its own for every sequence, and the store that all share; absent for a plain decoder. */
  readonly fgramsOf?: (() => SequenceFgrams) | undefined;
  /** Counts every token that is looked up, but those read again. */
  readonly lookUps?: LookUpCounts | undefined;
}

export function batchDecoder(
  device: Device,
  { config: { decoder }, parameters }: Pick<InferenceModel, 'config' | 'parameters'>,
  { slots, blocks = slots * contextBlocks(decoder), fgramsOf, lookUps }: BatchDecoderOptions,
): BatchDecoder {
  const fgrams = Array.from({ length: slots }, () => fgramsOf?.());
  const { vocabSize, contextLength, width } = decoder;
  // Rows go to the device as they are stored: fewer bytes, and nothing to decode here.
  const packedRows = packedDtypeOf(fgrams[0]?.rows, width);
  const stride = rowElements(width, packedRows);
  const session = new BatchSession(device, decoder, parameters, { blocks, packedRows });

  /** The f-grams that end at each of the tokens, of id −1 where none: the matcher has then seen them. */
  const matchesOf = ({ slot, tokens, fgramLimit = Infinity }: SequenceWork) => {
    const matcher = fgrams[slot]?.matcher;
    return Array.from(tokens, (token) => {
      const id = matcher?.push(token) ?? -1;
      const length = matcher?.length ?? 1;
      return matcher === undefined || length <= fgramLimit ? { id, length } : { id: matcher.idOfLength(fgramLimit), length: fgramLimit };
    });
  };
  const lookUpOne = ({ slot, tokens }: SequenceWork, ids: readonly number[]) => lookUp(fgrams[slot]?.rows, tokens, ids, width, packedRows);

  /**
   * Reads all rows of a step at once. Where some are damaged, each sequence's by themselves, so that it fails for those who want these; where the store
   * fails it is not asked again, which would take as long once more, and fails for all who want rows.
   */
  const lookUpAll = async (work: readonly SequenceWork[], ids: readonly (readonly number[])[]): Promise<(LookedUp | Error)[]> => {
    try {
      const tokens = work.flatMap((own) => Array.from(own.tokens));
      const found = await lookUp(fgrams[0]?.rows, tokens, ids.flat(), width, packedRows);
      let at = 0;
      return work.map((own) => {
        const from = at;
        at += own.tokens.length;
        return { tokens: found.tokens.subarray(from, at), rows: found.rows.subarray(from * stride, at * stride) };
      });
    } catch (thrown) {
      const error = asError(thrown);
      return Promise.all(
        work.map((own, i) => (isCorrupt(error) || ids[i].every((id) => id < 0) ? lookUpOne(own, ids[i]).catch(asError) : error)),
      );
    }
  };

  return {
    slots,
    blocks,
    blockPositions: blockPositions(decoder),
    vocabSize,
    contextLength,
    async step(work) {
      const matches = work.map(matchesOf);
      const ids = matches.map((own) => own.map(({ id }) => id));
      // Before they are read: a cache has them afterwards.
      const tiers = ids.map((own) => own.map((id) => (id < 0 ? 'none' : (fgrams[0]?.rows.tierOf(id) ?? ''))));
      const started = performance.now();
      const looked = await lookUpAll(work, ids);
      const ms = performance.now() - started;
      const able = work.flatMap(({ blocks, start, wanted, isRepeat, onLookUp }, i) => {
        const found = looked[i];
        if (found instanceof Error) return [];
        const isLost = (at: number) => found.tokens[at] !== -1;
        const isMakeshift = ids[i].some((id, at) => id >= 0 && isLost(at));
        const tierAt = (at: number) => (ids[i][at] >= 0 && isLost(at) ? 'lost' : tiers[i][at]);
        if (lookUps !== undefined && !isRepeat) for (const [at, { length }] of matches[i].entries()) lookUps.add(tierAt(at), length);
        onLookUp?.({ fgrams: matches[i].map((match, at) => (match.id < 0 ? undefined : { ...match, tier: tierAt(at) })), ms });
        return [{ ...found, blocks, start, wanted, isMakeshift, i }];
      });
      const results: (StepResult | Error)[] = looked.map((found) => (found instanceof Error ? found : new Error('unreachable: no result')));
      try {
        const logits = await session.step(able);
        able.forEach(({ i, isMakeshift }, at) => {
          results[i] = { logits: logits[at], isMakeshift };
        });
      } catch (error) {
        for (const { i } of able) results[i] = asError(error);
      }
      return results;
    },
    begin(slot, prefix) {
      const matcher = fgrams[slot]?.matcher;
      matcher?.reset();
      for (let i = 0; i < prefix.length; i++) matcher?.push(prefix[i]);
    },
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}
