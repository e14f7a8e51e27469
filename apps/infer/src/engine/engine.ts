/**
 * Continuous batching: requests wait in a fair queue for one of the decoder's slots and for blocks of its cache; every step takes the running ones
 * one token further and reads a piece of the new ones' prompts. Sequences join and leave between any two steps. Where blocks run out, whoever came
 * last gives back his and reads his text again later. [after Yu et al., 2022, Orca; Kwon et al., 2023, vLLM]
 */
import { InferError } from '../errors.js';
import type { BatchDecoder } from './batch-decoder.js';
import { BlockPool } from './block-pool.js';
import { FairQueue } from './fair-queue.js';
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
  /** Tokens of prompts that were read; what is read again, after a preemption, is not counted again. */
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** Of the key-value cache, and how many of them sequences use. */
  readonly blocks: number;
  readonly usedBlocks: number;
  /** How often a sequence gave its blocks back to others before it was done. */
  readonly preemptions: number;
  /** Tokens of prompts, and how many of them the cache had from sequences before. */
  readonly prefixQueries: number;
  readonly prefixHits: number;
}

/** A sequence that has a slot. */
interface Seat {
  readonly sequence: Sequence;
  /** Whose came first. */
  readonly arrival: number;
  readonly blocks: number[];
  /** Blocks that others can begin with, and the chain to the end of them. */
  settled: number;
  chain: string;
  /** Rows were lost: good enough for this sequence, not for others to begin with. */
  isMakeshift: boolean;
}

/** Whoever waits at the head: he could not yet have his blocks, or gave them back. */
type Held = Pick<Seat, 'sequence' | 'arrival'>;

/** With another limit of f-grams a prefix is another one. */
const prefixOwner = ({ owner = '', fgramLimit = Infinity }: GenerationRequest) => `${fgramLimit} ${owner}`;

export class Engine {
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly #decoder: BatchDecoder;
  readonly #chunk: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #waiting: FairQueue<Sequence>;
  /** Before all who wait, in the order of arrival. */
  #held: Held[] = [];
  /** By slot. */
  readonly #running: (Seat | undefined)[];
  readonly #pool: BlockPool;
  #arrivals = 0;
  #loop: Promise<void> | undefined;
  #closed = false;
  #steps = 0;
  #preemptions = 0;
  #promptTokens = 0;
  #generatedTokens = 0;
  #prefixQueries = 0;
  #prefixHits = 0;

  constructor(decoder: BatchDecoder, { maxWaiting = 64, chunk = 64, onFailure = () => {} }: EngineOptions = {}) {
    this.#onFailure = onFailure;
    this.#decoder = decoder;
    this.#chunk = chunk;
    this.#pool = new BlockPool(decoder.blocks, decoder.blockPositions);
    this.contextLength = Math.min(decoder.contextLength, decoder.blocks * decoder.blockPositions);
    this.vocabSize = decoder.vocabSize;
    this.#waiting = new FairQueue(maxWaiting);
    this.#running = Array.from({ length: decoder.slots });
  }

  get status(): EngineStatus {
    return {
      running: this.#running.filter((seat) => seat !== undefined).length,
      waiting: this.#waiting.size + this.#held.length,
      slots: this.#running.length,
      steps: this.#steps,
      promptTokens: this.#promptTokens,
      generatedTokens: this.#generatedTokens,
      prefixQueries: this.#prefixQueries,
      prefixHits: this.#prefixHits,
      blocks: this.#pool.size,
      usedBlocks: this.#pool.size - this.#pool.available,
      preemptions: this.#preemptions,
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
    for (const seat of [...this.#held, ...this.#running]) seat?.sequence.fail(error);
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
      if (this.#running.every((seat) => seat === undefined)) break;
      await this.#step();
      // Arrivals and departures get their chance between steps.
      await turn();
    }
    this.#loop = undefined;
  }

  #leave(): void {
    this.#held = this.#held.filter(({ sequence }) => !isGone(sequence));
    this.#running.forEach((seat, slot) => {
      if (seat !== undefined && isGone(seat.sequence)) this.#vacate(slot, seat);
    });
  }

  #vacate(slot: number, { blocks }: Seat): void {
    this.#running[slot] = undefined;
    this.#pool.release(blocks);
  }

  #join(): void {
    for (;;) {
      const slot = this.#running.indexOf(undefined);
      const next = slot < 0 ? undefined : this.#next();
      if (next === undefined) return;
      const seat = this.#seat(next);
      if (seat === undefined) {
        this.#held.unshift(next);
        return;
      }
      this.#running[slot] = seat;
      const { text, read } = seat.sequence;
      this.#decoder.begin(slot, text.slice(0, read));
    }
  }

  #next(): Held | undefined {
    const held = this.#held.shift();
    if (held !== undefined) return held;
    const sequence = this.#waiting.shift();
    return sequence && { sequence, arrival: this.#arrivals++ };
  }

  /** Gives a sequence the blocks that its text takes, with the next token: those that hold its beginning already, then others. */
  #seat({ sequence, arrival }: Held): Seat | undefined {
    const { text, reusable } = sequence;
    const { blocks, chain } = this.#pool.share(prefixOwner(sequence.request), text, reusable);
    const settled = blocks.length;
    const wanted = this.#pool.blocksOf(text.length);
    if (wanted - settled > this.#pool.available) {
      this.#pool.release(blocks);
      return undefined;
    }
    while (blocks.length < wanted) blocks.push(this.#pool.take() ?? unreachable());
    sequence.begin(settled * this.#pool.positions);
    return { sequence, arrival, blocks, settled, chain, isMakeshift: false };
  }

  /** Sees to blocks for every token that is to be read; whoever came last gives back his where there are none left. */
  #grow(): void {
    const seats = this.#running.flatMap((seat, slot) => (seat === undefined ? [] : [{ seat, slot }]));
    seats.sort((a, b) => a.seat.arrival - b.seat.arrival);
    for (let i = 0; i < seats.length; i++) {
      const { blocks, sequence } = seats[i].seat;
      while (i < seats.length && blocks.length < this.#pool.blocksOf(sequence.text.length)) {
        const block = this.#pool.take();
        if (block !== undefined) blocks.push(block);
        else {
          const last = seats.pop() ?? unreachable();
          this.#vacate(last.slot, last.seat);
          this.#held.unshift(last.seat);
          this.#preemptions += 1;
        }
      }
    }
  }

  async #step(): Promise<void> {
    this.#grow();
    let left = this.#chunk;
    const taking: Seat[] = [];
    const work = this.#running.flatMap((seat, slot) => {
      if (seat === undefined) return [];
      const { sequence, blocks } = seat;
      if (sequence.isReading && left === 0) return [];
      // Not when it is seated: it may have to give way before its first step.
      if (!sequence.hasStarted) {
        this.#prefixQueries += sequence.text.length;
        this.#prefixHits += sequence.read;
      }
      // Who generates reads one token a step, whatever others leave of the chunk.
      const own = sequence.work({ slot, blocks }, sequence.isReading ? left : 1);
      if (sequence.isReading) left -= own.tokens.length;
      taking.push(seat);
      return [own];
    });
    const results = await this.#decoder.step(work);
    this.#steps += 1;
    work.forEach((own, i) => {
      const seat = taking[i];
      const { sequence } = seat;
      const result = results[i];
      if (isGone(sequence)) return;
      const before = sequence.generated;
      if (before === 0 && !own.isRepeat) this.#promptTokens += own.tokens.length;
      try {
        if (result instanceof Error) throw result;
        sequence.take(own, result.logits);
        this.#generatedTokens += sequence.generated - before;
        seat.isMakeshift ||= result.isMakeshift;
        this.#settle(seat);
      } catch (error) {
        sequence.fail(error);
        this.#onFailure(error);
      }
    });
    this.#leave();
  }

  /** Blocks that are full now may be others' beginnings. */
  #settle(seat: Seat): void {
    const { positions } = this.#pool;
    const { text, read } = seat.sequence;
    for (; !seat.isMakeshift && (seat.settled + 1) * positions <= read; seat.settled++) {
      const tokens = text.slice(seat.settled * positions, (seat.settled + 1) * positions);
      seat.chain = this.#pool.settle(seat.blocks[seat.settled], seat.chain, tokens);
    }
  }
}

const isGone = ({ isOver, isLeft }: Sequence) => isOver || isLeft;

function unreachable(): never {
  throw new Error('unreachable: there were blocks');
}
