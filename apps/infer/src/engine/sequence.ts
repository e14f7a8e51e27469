/** One request at work: what it still has to read, what it has generated, and how a step's logits take it further. */
import { largest, logSumExp, Sampler } from '@sconelm/decoder';
import type { SequenceWork } from './batch-decoder.js';
import { Channel } from './channel.js';
import type { FinishReason, GenerationEvent, GenerationRequest, LookUp, TokenScore } from './request.js';

export class Sequence {
  readonly request: GenerationRequest;
  readonly events: Channel<GenerationEvent>;
  /** Its reader has left, or its signal is aborted. */
  isLeft = false;
  /** Its end has been told. */
  isOver = false;
  readonly #sampler: Sampler;
  readonly #vocabSize: number;
  readonly #scores: (TokenScore | undefined)[] = [undefined];
  readonly #arrived = performance.now();
  #started = 0;
  #first = 0;
  /** Tokens of the prompt that were read. */
  #read = 0;
  /** What stands in the cache of it. */
  readonly #tokens: number[] = [];
  #generated = 0;
  /** The token to append next. */
  #pending: number | undefined;

  /** @throws {DecoderError} SAMPLING_OPTION */
  constructor(request: GenerationRequest, { vocabSize, onLeave }: { readonly vocabSize: number; readonly onLeave: () => void }) {
    this.request = request;
    this.#vocabSize = vocabSize;
    this.#sampler = new Sampler(request.sampling, Array.from(request.prompt));
    this.events = new Channel(() => {
      this.isLeft = true;
      onLeave();
    });
  }

  /** Tokens of the prompt that are still to be read. */
  get unread(): number {
    return this.request.prompt.length - this.#read;
  }

  /** Tokens that stand in the cache. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** How many tokens of the prompt may come from a cache: the last one's logits are needed, and all of them where all are scored. */
  get reusable(): number {
    return this.request.scoresPrompt ? 0 : this.request.prompt.length - 1;
  }

  /** The first tokens of the prompt are in the cache already. */
  skip(count: number): void {
    this.#read = count;
    for (let i = 0; i < count; i++) this.#tokens.push(this.request.prompt[i]);
  }

  /** What a step is to do. @param mostPrompt at most so many tokens of the prompt */
  work(slot: number, mostPrompt: number): SequenceWork {
    this.#started ||= performance.now();
    const { prompt, scoresPrompt, fgramLimit, tellsLookUps } = this.request;
    const from = this.#tokens.length;
    const onLookUp = tellsLookUps ? (lookUp: LookUp) => this.events.push({ kind: 'look-up', from, ...lookUp }) : undefined;
    if (this.#pending !== undefined) return { slot, tokens: [this.#pending], wanted: 'last', fgramLimit, onLookUp };
    const end = Math.min(prompt.length, this.#read + mostPrompt);
    const tokens = Array.prototype.slice.call(prompt, this.#read, end) as number[];
    return { slot, tokens, wanted: scoresPrompt ? 'all' : end === prompt.length ? 'last' : 'none', fgramLimit, onLookUp };
  }

  /** Takes what a step gave for its work. */
  take({ tokens }: SequenceWork, logits: Float32Array): void {
    const { prompt, scoresPrompt, maxTokens } = this.request;
    const V = this.#vocabSize;
    for (let i = 0; i < tokens.length; i++) this.#tokens.push(tokens[i]);
    if (this.#pending === undefined) {
      for (let i = 0; scoresPrompt && i < tokens.length; i++) {
        const next = this.#read + i + 1;
        if (next < prompt.length) this.#scores.push(this.#score(prompt[next], logits.subarray(i * V, (i + 1) * V)));
      }
      this.#read += tokens.length;
      if (this.#read < prompt.length) return;
      if (scoresPrompt) this.events.push({ kind: 'prompt', scores: this.#scores });
      this.#first = performance.now();
      if (maxTokens === 0) {
        this.#finish('length');
        return;
      }
    }
    this.#choose(logits.subarray(logits.length - V));
  }

  /** @param error told to the reader after what he already has */
  fail(error: unknown): void {
    this.isOver = true;
    this.events.close({ error });
  }

  #choose(logits: Float32Array): void {
    const { stopTokens, maxTokens, alternatives } = this.request;
    const token = this.#sampler.next(logits);
    if (stopTokens.has(token)) {
      this.#finish('stop');
      return;
    }
    this.#pending = token;
    this.#generated += 1;
    this.events.push({ kind: 'token', token, ...(alternatives === undefined ? {} : { score: this.#score(token, logits) }) });
    if (this.#generated === maxTokens) this.#finish('length');
  }

  #score(token: number, logits: Float32Array): TokenScore {
    const total = logSumExp(logits);
    const top = Array.from(largest(logits, this.request.alternatives ?? 0), (id) => ({ token: id, logProbability: logits[id] - total }));
    return { token, logProbability: logits[token] - total, top };
  }

  #finish(reason: FinishReason): void {
    const now = performance.now();
    const times = { queued: this.#started - this.#arrived, prefill: this.#first - this.#started, decode: now - this.#first };
    this.isOver = true;
    this.events.push({ kind: 'end', reason, times });
    this.events.close();
  }
}
