/** One request at work: its text so far, how much of it was read, and how a step's logits take it further. */
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
  readonly #arrived = performance.now();
  #started = 0;
  #first = 0;
  /** The prompt, then what was generated; the last token of that is not read yet. */
  readonly #text: number[];
  /** Tokens of the text that stand in the cache. */
  #read = 0;
  /** The most that ever stood there: what was looked up so far was told. */
  #furthest = 0;
  /** Of the prompt's tokens, as far as they are known. */
  readonly #scores: (TokenScore | undefined)[] = [undefined];
  #promptIsTold = false;

  /** @throws {DecoderError} SAMPLING_OPTION */
  constructor(request: GenerationRequest, { vocabSize, onLeave }: { readonly vocabSize: number; readonly onLeave: () => void }) {
    this.#text = Array.from(request.prompt);
    // A copy: who asks may go on with his own list.
    this.request = { ...request, prompt: [...this.#text] };
    this.#vocabSize = vocabSize;
    this.#sampler = new Sampler(request.sampling, this.#text);
    this.events = new Channel(() => {
      this.isLeft = true;
      onLeave();
    });
  }

  get text(): readonly number[] {
    return this.#text;
  }

  /** Tokens of the text that stand in the cache. */
  get read(): number {
    return this.#read;
  }

  /** It had its first step. */
  get hasStarted(): boolean {
    return this.#started > 0;
  }

  get generated(): number {
    return this.#text.length - this.request.prompt.length;
  }

  /** Reads its prompt, or again what it had read; else it is one token behind. */
  get isReading(): boolean {
    return this.generated === 0 || this.#text.length - this.#read > 1;
  }

  /** How many tokens of the text may come from a cache: the last one's logits are needed, and those of the prompt where it is scored. */
  get reusable(): number {
    return this.#scoresNext ? 0 : this.#text.length - 1;
  }

  /** Whether tokens of the prompt still want their scores. */
  get #scoresNext(): boolean {
    return this.request.scoresPrompt === true && !this.#promptIsTold;
  }

  /** The first tokens of the text are in the cache, and no more of it. */
  begin(count: number): void {
    this.#read = count;
  }

  /** What a step is to do. @param most at most so many tokens */
  work(place: Pick<SequenceWork, 'slot' | 'blocks'>, most: number): SequenceWork {
    this.#started ||= performance.now();
    const { fgramLimit, tellsLookUps } = this.request;
    const from = this.#read;
    // What is read again is told only once, so a piece does not go over from there to what is new.
    const isRepeat = from < this.#furthest;
    const end = Math.min(isRepeat ? this.#furthest : this.#text.length, from + most);
    const onLookUp = tellsLookUps && !isRepeat ? (lookUp: LookUp) => this.events.push({ kind: 'look-up', from, ...lookUp }) : undefined;
    const wanted = this.#scoresNext ? 'all' : end === this.#text.length ? 'last' : 'none';
    return { ...place, start: from, tokens: this.#text.slice(from, end), wanted, fgramLimit, isRepeat, onLookUp };
  }

  /** Takes what a step gave for its work. */
  take({ start, tokens }: SequenceWork, logits: Float32Array): void {
    const { prompt, maxTokens } = this.request;
    const V = this.#vocabSize;
    this.#read += tokens.length;
    this.#furthest = Math.max(this.#furthest, this.#read);
    if (this.#scoresNext) {
      for (let i = 0; i < tokens.length; i++) {
        const next = start + i + 1;
        if (next === this.#scores.length && next < prompt.length)
          this.#scores.push(this.#score(prompt[next], logits.subarray(i * V, (i + 1) * V)));
      }
    }
    if (this.#read < this.#text.length) return;
    if (this.generated === 0) {
      if (this.#scoresNext) this.events.push({ kind: 'prompt', scores: this.#scores });
      this.#promptIsTold = true;
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
    this.#text.push(token);
    this.events.push({ kind: 'token', token, ...(alternatives === undefined ? {} : { score: this.#score(token, logits) }) });
    if (this.generated === maxTokens) this.#finish('length');
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
