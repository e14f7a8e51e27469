/** The choices of a completion: requests to the engine, and what they become in OpenAI's form. */
import { randomInt } from 'node:crypto';
import { type CompletionEvent, type CompletionRequest, complete } from '../engine/completion.js';
import type { TokenScore } from '../engine/request.js';
import { TextStream } from '../text/text-stream.js';
import { badRequest } from './errors.js';
import { type CompletionParameters, type GenerationParameters, MAX_CHOICES } from './parameters.js';
import type { ServedModel } from './served-model.js';

/** Tokens that a completion gets where nothing is said, as in OpenAI's API. */
const DEFAULT_MAX_TOKENS = 16;

export interface Logprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
}

/** A part of a choice, or all of it. */
export interface ChoicePart {
  readonly index: number;
  readonly text: string;
  readonly logprobs: Logprobs | null;
  readonly finish_reason: string | null;
}

export interface Prompt {
  readonly tokens: readonly number[];
  /** What `echo` gives back. */
  readonly text: string;
}

/** Texts longer than any that fits are not tokenized: that would take its time for nothing. */
export function encodePrompt({ tokenizer, engine }: ServedModel, text: string, opened: boolean): Prompt {
  const most = engine.contextLength * 256;
  if (text.length > most) {
    const message = `the prompt has ${text.length} characters, which no ${engine.contextLength} tokens can hold`;
    throw badRequest('prompt', 'context_length_exceeded', message);
  }
  return { tokens: [...(opened ? [tokenizer.endOfText] : []), ...tokenizer.encode(text)], text };
}

export function promptsOf(model: ServedModel, { prompt, add_special_tokens: opened }: CompletionParameters): Prompt[] {
  const isTokens = (value: unknown): value is number[] => Array.isArray(value) && typeof value[0] === 'number';
  const list = typeof prompt === 'string' || isTokens(prompt) ? [prompt] : prompt;
  return list.map((one) => {
    if (typeof one === 'string') return encodePrompt(model, one, opened);
    return { tokens: one, text: model.tokenizer.decode(one) };
  });
}

/** The engine's requests, `n` for each prompt. @throws {HttpError} 400 */
export function requestsOf(
  { tokenizer, stopTokens }: ServedModel,
  prompts: readonly Prompt[],
  parameters: GenerationParameters,
  { owner, signal }: { readonly owner: string; readonly signal: AbortSignal },
): CompletionRequest[] {
  const { n, logprobs, echo, stop = [], stop_token_ids = [], ignore_eos, max_tokens, max_completion_tokens } = parameters;
  if (prompts.length * n > MAX_CHOICES)
    throw badRequest('n', 'too_many_choices', `prompts times n is ${prompts.length * n}, at most ${MAX_CHOICES}`);
  if (max_tokens !== undefined && max_completion_tokens !== undefined && max_tokens !== max_completion_tokens)
    throw badRequest('max_completion_tokens', 'invalid_value', 'max_tokens and max_completion_tokens differ');
  const { top_k: topK = 0 } = parameters;
  const bias = new Map(Object.entries(parameters.logit_bias ?? {}).map(([id, value]) => [Number(id), value]));
  const wrong = [...bias.keys(), ...stop_token_ids].find((id) => id >= tokenizer.vocabSize);
  if (wrong !== undefined) {
    const param = bias.has(wrong) ? 'logit_bias' : 'stop_token_ids';
    throw badRequest(param, 'invalid_value', `${param}: ${wrong} is no token of a vocabulary of ${tokenizer.vocabSize}`);
  }
  const seed = parameters.seed === undefined ? randomInt(2 ** 32) : parameters.seed >>> 0;
  return prompts.flatMap(({ tokens }) =>
    Array.from({ length: n }, (_, i) => ({
      prompt: tokens,
      maxTokens: max_tokens ?? max_completion_tokens ?? DEFAULT_MAX_TOKENS,
      sampling: {
        temperature: parameters.temperature,
        topP: parameters.top_p,
        minP: parameters.min_p,
        ...(topK > 0 ? { topK } : {}),
        repetitionPenalty: parameters.repetition_penalty,
        presencePenalty: parameters.presence_penalty,
        frequencyPenalty: parameters.frequency_penalty,
        logitBias: bias,
        seed: seed + i,
      },
      stopTokens: new Set([...(ignore_eos ? [] : stopTokens), ...stop_token_ids]),
      stopStrings: typeof stop === 'string' ? [stop] : stop,
      alternatives: logprobs,
      scoresPrompt: echo && logprobs !== undefined,
      owner,
      signal,
    })),
  );
}

/** The name of a token: its text, or its bytes where they are no text alone, as in OpenAI's API. */
export function tokenName({ tokenizer }: ServedModel, id: number): string {
  const text = tokenizer.tokenText(id);
  if (!tokenizer.isFast || !text.includes('\ufffd')) return text;
  return `bytes:${Array.from(tokenizer.decodeBytes([id]), (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

/** Builds the log-probabilities of a choice, token after token. */
class LogprobsWriter {
  readonly #model: ServedModel;
  readonly #stream: TextStream;
  #offset: number;

  constructor(model: ServedModel, offset: number) {
    this.#model = model;
    this.#stream = new TextStream(model.tokenizer);
    this.#offset = offset;
  }

  /** @param opening stands before the text, and is none of it */
  write(into: Logprobs, token: number, score: TokenScore | undefined, opening = false): void {
    const name = (id: number) => tokenName(this.#model, id);
    into.tokens.push(name(token));
    into.text_offset.push(this.#offset);
    into.token_logprobs.push(score?.logProbability ?? null);
    // Two tokens may have one name: the likelier one comes first and stays.
    const top: Record<string, number> = {};
    for (const { token: id, logProbability } of score === undefined ? [] : [...score.top, score]) top[name(id)] ??= logProbability;
    into.top_logprobs.push(score === undefined ? null : top);
    if (!opening) this.#offset += this.#stream.push(token).length;
  }
}

const emptyLogprobs = (): Logprobs => ({ tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] });

export interface PartsOptions {
  readonly index: number;
  readonly prompt: Prompt;
  readonly echo: boolean;
  readonly hasLogprobs: boolean;
  /** Told of every event, the times of which metrics are made. */
  readonly onEvent: (event: CompletionEvent) => void;
}

/** Starts a request at once. @returns its choice in parts as they come, the last with its reason @throws as `engine.generate` does */
export function startChoice(model: ServedModel, request: CompletionRequest, options: PartsOptions): AsyncGenerator<ChoicePart, void> {
  return partsOf(model, complete(model.engine, model.tokenizer, request), options);
}

async function* partsOf(
  model: ServedModel,
  events: AsyncIterable<CompletionEvent>,
  { index, prompt, echo, hasLogprobs, onEvent }: PartsOptions,
): AsyncGenerator<ChoicePart, void> {
  const writer = new LogprobsWriter(model, 0);
  if (echo && !hasLogprobs) yield { index, text: prompt.text, logprobs: null, finish_reason: null };
  for await (const event of events) {
    onEvent(event);
    const logprobs = hasLogprobs ? emptyLogprobs() : null;
    if (event.kind === 'prompt') {
      const opens = prompt.tokens[0] === model.tokenizer.endOfText && !prompt.text.startsWith(model.tokenizer.tokenText(prompt.tokens[0]));
      if (logprobs !== null)
        for (const [i, token] of prompt.tokens.entries()) writer.write(logprobs, token, event.scores[i], i === 0 && opens);
      yield { index, text: prompt.text, logprobs, finish_reason: null };
    } else if (event.kind === 'token') {
      if (logprobs !== null) writer.write(logprobs, event.token, event.score);
      if (event.text !== '' || logprobs !== null) yield { index, text: event.text, logprobs, finish_reason: null };
    } else yield { index, text: event.text, logprobs, finish_reason: event.reason };
  }
}

/** Parts as one. */
export async function wholeChoice(parts: AsyncIterable<ChoicePart>): Promise<ChoicePart> {
  let whole: ChoicePart | undefined;
  for await (const part of parts) {
    if (whole === undefined) whole = part;
    else {
      const { logprobs } = whole;
      for (const key of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'] as const)
        (logprobs?.[key] as unknown[] | undefined)?.push(...(part.logprobs?.[key] ?? []));
      whole = { ...part, text: whole.text + part.text, logprobs };
    }
  }
  if (whole === undefined) throw new Error('unreachable: a choice has an end');
  return whole;
}
