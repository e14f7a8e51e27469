/** POST /v1/completions: as a whole or as server-sent events. */
import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { stream } from 'hono/streaming';
import type { CompletionEvent } from '../engine/completion.js';
import { type ChoicePart, promptsOf, requestsOf, startChoice, wholeChoice } from './choices.js';
import { asHttpError, badRequest } from './errors.js';
import type { Metrics } from './metrics.js';
import type { CompletionParameters } from './parameters.js';
import type { ServedModel } from './served-model.js';

export interface CompletionContext {
  readonly metrics: Metrics;
  readonly owner: string;
  /** Milliseconds between comments that keep a silent stream alive. */
  readonly pingMs: number;
  readonly onError: (error: unknown) => void;
}

export async function completions(
  c: Context,
  model: ServedModel,
  parameters: CompletionParameters,
  { metrics, owner, pingMs, onError }: CompletionContext,
): Promise<Response> {
  const { echo, logprobs, stream: streams, stream_options: streamOptions } = parameters;
  if (streamOptions !== undefined && !streams) throw badRequest('stream_options', 'invalid_value', 'stream_options needs stream: true');
  const abort = new AbortController();
  const leave = () => abort.abort(new DOMException('the client has left', 'AbortError'));
  c.req.raw.signal.addEventListener('abort', leave);
  const prompts = promptsOf(model, parameters);
  const requests = requestsOf(model, prompts, parameters, { owner, signal: abort.signal });
  const usage = { prompt_tokens: prompts.reduce((sum, { tokens }) => sum + tokens.length, 0), completion_tokens: 0, total_tokens: 0 };
  usage.total_tokens = usage.prompt_tokens;
  const arrived = performance.now();
  const choices: AsyncGenerator<ChoicePart, void>[] = [];
  try {
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
    leave();
    throw error;
  }
  const head = { id: `cmpl-${randomUUID()}`, object: 'text_completion', created: Math.floor(Date.now() / 1000), model: model.id };
  const fail = (error: unknown) => {
    metrics.finish(abort.signal.aborted ? 'abort' : 'error');
    leave();
    return error;
  };
  if (!streams) {
    try {
      const whole = await Promise.all(choices.map(wholeChoice));
      return c.json({ ...head, system_fingerprint: model.fingerprint, choices: whole, usage });
    } catch (error) {
      throw fail(error);
    }
  }

  c.header('content-type', 'text/event-stream; charset=utf-8');
  c.header('cache-control', 'no-cache');
  c.header('x-accel-buffering', 'no');
  return stream(c, async (out) => {
    out.onAbort(leave);
    const send = (data: object | string) => out.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
    const ping = setInterval(() => out.write(': ping\n\n'), pingMs);
    const includesUsage = streamOptions?.include_usage === true;
    const sendChoices = (list: readonly ChoicePart[], used: typeof usage | null) =>
      send({ ...head, choices: list, ...(includesUsage ? { usage: used } : {}) });
    try {
      await Promise.all(
        choices.map(async (parts) => {
          for await (const part of parts) await sendChoices([part], null);
        }),
      );
      if (includesUsage) await sendChoices([], usage);
      await send('[DONE]');
    } catch (error) {
      const isGone = abort.signal.aborted;
      fail(error);
      if (!isGone) {
        const told = asHttpError(error);
        if (told.status >= 500) onError(error);
        await send(told.body);
        await send('[DONE]');
      }
    } finally {
      clearInterval(ping);
    }
  });
}
