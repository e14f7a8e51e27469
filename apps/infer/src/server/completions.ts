/** Prompts are answered as a whole or as server-sent events, in the form of completions or of chats. */
import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { stream } from 'hono/streaming';
import type { CompletionEvent } from '../engine/completion.js';
import { type ChoicePart, type Prompt, requestsOf, startChoice, wholeChoice } from './choices.js';
import { Client } from './client.js';
import { asHttpError, badRequest } from './errors.js';
import type { Metrics } from './metrics.js';
import type { GenerationParameters } from './parameters.js';
import type { ServedModel } from './served-model.js';

export interface CompletionContext {
  readonly metrics: Metrics;
  readonly owner: string;
  /** Milliseconds between comments that keep a silent stream alive. */
  readonly pingMs: number;
  readonly onError: (error: unknown) => void;
}

/** What a route makes of choices. */
export interface ResponseForm {
  /** Of the id. */
  readonly prefix: string;
  readonly object: string;
  readonly chunkObject: string;
  choice(whole: ChoicePart): object;
  chunk(part: ChoicePart): object;
  /** Sent for each choice before its parts, where there is one. */
  opening?(index: number): object;
}

export const completionForm: ResponseForm = {
  prefix: 'cmpl-',
  object: 'text_completion',
  chunkObject: 'text_completion',
  choice: (whole) => whole,
  chunk: (part) => part,
};

/** Answers prompts. @throws {HttpError} what is wrong with them, before anything is sent; and as `engine.generate` does */
export async function answer(
  c: Context,
  model: ServedModel,
  prompts: readonly Prompt[],
  parameters: GenerationParameters,
  form: ResponseForm,
  { metrics, owner, pingMs, onError }: CompletionContext,
): Promise<Response> {
  const { echo, logprobs, stream: streams, stream_options: streamOptions } = parameters;
  if (streamOptions !== undefined && !streams) throw badRequest('stream_options', 'invalid_value', 'stream_options needs stream: true');
  const client = new Client();
  const usage = { prompt_tokens: prompts.reduce((sum, { tokens }) => sum + tokens.length, 0), completion_tokens: 0, total_tokens: 0 };
  usage.total_tokens = usage.prompt_tokens;
  const arrived = performance.now();
  const choices: AsyncGenerator<ChoicePart, void>[] = [];
  try {
    const requests = requestsOf(model, prompts, parameters, { owner, signal: client.signal });
    for (const [index, request] of requests.entries()) {
      let last: number | undefined;
      const onEvent = (event: CompletionEvent) => {
        const now = performance.now();
        if (event.kind === 'token') {
          metrics.token(now - (last ?? arrived), last === undefined);
          last = now;
          usage.completion_tokens += 1;
          usage.total_tokens += 1;
        } else if (event.kind === 'end') metrics.finish(event.reason, event.times);
      };
      const prompt = prompts[Math.floor(index / parameters.n)];
      choices.push(startChoice(model, request, { index, prompt, echo, hasLogprobs: logprobs !== undefined, onEvent }));
    }
  } catch (error) {
    client.leave();
    throw error;
  }
  client.watch(c.req.raw.signal);
  const id = `${form.prefix}${randomUUID()}`;
  const head = { id, object: streams ? form.chunkObject : form.object, created: Math.floor(Date.now() / 1000), model: model.id };
  const fail = (error: unknown) => {
    metrics.finish(client.signal.aborted ? 'abort' : 'error');
    client.leave();
    return error;
  };
  if (!streams) {
    try {
      const whole = await Promise.all(choices.map(wholeChoice));
      return c.json({ ...head, system_fingerprint: model.fingerprint, choices: whole.map(form.choice), usage });
    } catch (error) {
      throw fail(error);
    } finally {
      client.release();
    }
  }

  c.header('content-type', 'text/event-stream; charset=utf-8');
  c.header('cache-control', 'no-cache');
  c.header('x-accel-buffering', 'no');
  return stream(c, async (out) => {
    out.onAbort(client.leave);
    const send = (data: object | string) => out.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    const ping = setInterval(() => out.write(': ping\n\n'), pingMs);
    const includesUsage = streamOptions?.include_usage === true;
    const sendChoices = (list: readonly object[], used: typeof usage | null) =>
      send({ ...head, choices: list, ...(includesUsage ? { usage: used } : {}) });
    try {
      await Promise.all(
        choices.map(async (parts, index) => {
          if (form.opening !== undefined) await sendChoices([form.opening(index)], null);
          for await (const part of parts) await sendChoices([form.chunk(part)], null);
        }),
      );
      if (includesUsage) await sendChoices([], usage);
      await send('[DONE]');
    } catch (error) {
      const isGone = client.signal.aborted;
      fail(error);
      if (!isGone) {
        const told = asHttpError(error);
        if (told.status >= 500) onError(error);
        await send(told.body);
        await send('[DONE]');
      }
    } finally {
      clearInterval(ping);
      client.release();
    }
  });
}
