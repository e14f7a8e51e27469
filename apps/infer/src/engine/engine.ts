/**
 * Continuous batching: requests wait in a fair queue for one of the decoder's slots; every step takes the running ones one token further and
 * reads a piece of the new ones' prompts. Sequences join and leave between any two steps. [after Yu et al., 2022, Orca; Kwon et al., 2023, vLLM]
 */
import { InferError } from '../errors.js';
import type { BatchDecoder } from './batch-decoder.js';
import { FairQueue } from './fair-queue.js';
import { PrefixCache } from './prefix-cache.js';
import type { GenerationEvent, GenerationRequest } from './request.js';
import { Sequence } from './sequence.js';
import { turn } from './turn.js';

export interface EngineOptions {
  /** Requests that may wait. Default 64. */
  readonly maxWaiting?: number;
  /** Tokens of prompts that a step reads at most, so that others' tokens do not wait for a long prompt. Default 64. */
  readonly chunk?: number;
  /** Told why a sequence failed, besides whoever reads its events. */
  readonly onFailure?: (error: unknown) => void;
}

/** Numbers of now, and sums since the start. */
export interface EngineStatus {
  readonly running: number;
  readonly waiting: number;
  readonly slots: number;
  readonly steps: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Positions in use of all slots'. */
  readonly cachePositions: number;
  /** Tokens of prompts, and how many of them the cache had from sequences before. */
  readonly prefixQueries: number;
  readonly prefixHits: number;
}

/** With another limit of f-grams a prefix is another one. */
const prefixOwner = ({ owner = '', fgramLimit = Infinity }: GenerationRequest) => `${fgramLimit} ${owner}`;

export class Engine {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #decoder: BatchDecoder;
  readonly #chunk: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #waiting: FairQueue<Sequence>;
  /** By slot. */
  readonly #running: (Sequence | undefined)[];
  /** Positions in each slot. */
  readonly #positions: number[];
  /** What the sequences before left in the slots. */
  readonly #prefixes: PrefixCache;
  #loop: Promise<void> | undefined;
  #closed = false;
  #steps = 0;
  #promptTokens = 0;
  #generatedTokens = 0;
  #prefixQueries = 0;
  #prefixHits = 0;

  constructor(decoder: BatchDecoder, { maxWaiting = 64, chunk = 64, onFailure = () => {} }: EngineOptions = {}) {
    this.#onFailure = onFailure;
    this.#decoder = decoder;
    this.#chunk = chunk;
    this.contextLength = decoder.contextLength;
    this.vocabSize = decoder.vocabSize;
    this.#waiting = new FairQueue(maxWaiting);
    this.#running = Array.from({ length: decoder.slots });
    this.#prefixes = new PrefixCache(decoder.slots);
    this.#positions = Array.from({ length: decoder.slots }, () => 0);
  }

  get status(): EngineStatus {
    return {
      running: this.#running.filter((sequence) => sequence !== undefined).length,
      waiting: this.#waiting.size,
      slots: this.#running.length,
      steps: this.#steps,
      promptTokens: this.#promptTokens,
      generatedTokens: this.#generatedTokens,
      prefixQueries: this.#prefixQueries,
      prefixHits: this.#prefixHits,
      cachePositions: this.#positions.reduce((sum, positions) => sum + positions, 0),
    };
  }

  /**
   * Starts a request. Whoever stops reading the events, or aborts the signal, frees its slot within a step.
   * @throws {InferError} CONTEXT_LENGTH; QUEUE_FULL; ENGINE_CLOSED @throws {DecoderError} SAMPLING_OPTION
   */
  generate(request: GenerationRequest): AsyncIterableIterator<GenerationEvent> {
    this.#expectFit(request);
    const { owner = '', signal } = request;
    if (this.#closed) throw new InferError('ENGINE_CLOSED', 'no new requests are taken', 'Ask another server, or wait until it is back.');
    const sequence: Sequence = new Sequence(request, {
      vocabSize: this.vocabSize,
      onLeave: () => this.#waiting.remove(owner, sequence),
    });
    if (!this.#waiting.push(owner, sequence)) {
      throw new InferError('QUEUE_FULL', `${this.#waiting.size} requests are waiting already`, 'Try again in a moment.');
    }
    signal?.addEventListener('abort', () => {
      sequence.isLeft = true;
      this.#waiting.remove(owner, sequence);
      sequence.fail(signal.reason);
    });
    if (signal?.aborted) {
      this.#waiting.remove(owner, sequence);
      sequence.fail(signal.reason);
    }
    this.#loop ??= this.#run();
    return sequence.events;
  }

  /** Takes no more requests. @returns when those that are there are done */
  async drain(): Promise<void> {
    this.#closed = true;
    await this.#loop;
  }

  /** Takes no more requests and ends those that are there. */
  async abort(): Promise<void> {
    this.#closed = true;
    const error = new InferError('ENGINE_CLOSED', 'the server is shutting down', 'Send the request again when it is back.');
    for (let sequence = this.#waiting.shift(); sequence !== undefined; sequence = this.#waiting.shift()) sequence.fail(error);
    for (const sequence of this.#running) sequence?.fail(error);
    await this.#loop;
  }

  #expectFit({ prompt, maxTokens }: GenerationRequest): void {
    if (prompt.length === 0) throw new InferError('PROMPT', 'the prompt has no tokens', 'Give at least one.');
    const wrong = Array.prototype.find.call(prompt, (token: number) => !(Number.isInteger(token) && token >= 0 && token < this.vocabSize));
    if (wrong !== undefined) {
      throw new InferError(
        'PROMPT',
        `${wrong} is no token of a vocabulary of ${this.vocabSize}`,
        'Encode the prompt with this model’s tokenizer.',
      );
    }
    if (prompt.length + maxTokens <= this.contextLength) return;
    throw new InferError(
      'CONTEXT_LENGTH',
      `${prompt.length} tokens of prompt and ${maxTokens} to generate are ${prompt.length + maxTokens}, the context has ${this.contextLength}`,
      'Use a shorter prompt or generate less.',
    );
  }

  /** Runs steps until nothing is left to do. */
  async #run(): Promise<void> {
    await turn();
    for (;;) {
      this.#leave();
      this.#join();
      if (this.#running.every((sequence) => sequence === undefined)) break;
      await this.#step();
      // Arrivals and departures get their chance between steps.
      await turn();
    }
    this.#loop = undefined;
  }

  #leave(): void {
    this.#running.forEach((sequence, slot) => {
      if (sequence === undefined || !(sequence.isOver || sequence.isLeft)) return;
      this.#running[slot] = undefined;
      this.#positions[slot] = 0;
      this.#prefixes.keep(slot, prefixOwner(sequence.request), sequence.tokens);
    });
  }

  #join(): void {
    for (;;) {
      const free = this.#running.flatMap((sequence, slot) => (sequence === undefined ? [slot] : []));
      const sequence = free.length === 0 ? undefined : this.#waiting.shift();
      if (sequence === undefined) return;
      const { prompt } = sequence.request;
      const { slot, shared } = this.#prefixes.take(free, prefixOwner(sequence.request), prompt, sequence.reusable);
      const kept = this.#decoder.restart(slot, Array.prototype.slice.call(prompt, 0, shared));
      sequence.skip(kept);
      this.#running[slot] = sequence;
      this.#positions[slot] = kept;
      this.#prefixQueries += prompt.length;
      this.#prefixHits += kept;
    }
  }

  async #step(): Promise<void> {
    let left = this.#chunk;
    const taking: Sequence[] = [];
    const work = this.#running.flatMap((sequence, slot) => {
      if (sequence === undefined || (sequence.unread > 0 && left === 0)) return [];
      const own = sequence.work(slot, left);
      left -= Math.min(left, sequence.unread);
      taking.push(sequence);
      return [own];
    });
    const results = await this.#decoder.step(work);
    this.#steps += 1;
    work.forEach((own, i) => {
      const sequence = taking[i];
      const result = results[i];
      this.#positions[own.slot] += own.tokens.length;
      if (sequence.isOver || sequence.isLeft) return;
      const isPrompt = sequence.unread > 0;
      if (isPrompt) this.#promptTokens += own.tokens.length;
      try {
        if (result instanceof Error) throw result;
        sequence.take(own, result);
        if (sequence.unread === 0 && !(isPrompt && sequence.request.maxTokens === 0)) this.#generatedTokens += 1;
      } catch (error) {
        sequence.fail(error);
        this.#onFailure(error);
      }
    });
    this.#leave();
  }
}
