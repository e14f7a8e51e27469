/** Chats: messages become a prompt by the model's template, choices become messages. */
import type { ChatMessage } from '../chat/template-worker.js';
import type { ChoicePart, Logprobs, Prompt } from './choices.js';
import type { ResponseForm } from './completions.js';
import { badRequest } from './errors.js';
import type { ChatParameters, GenerationParameters } from './parameters.js';
import type { ServedChat, ServedModel } from './served-model.js';

/** The prompt that messages are. @throws {InferError} CHAT_TEMPLATE */
export async function chatPrompt(
  { renderer, tokenizer }: ServedChat,
  messages: readonly ChatMessage[],
  opensAnswer = true,
): Promise<Prompt> {
  const text = await renderer.render({ messages: messages.map(({ role, content }) => ({ role, content })), opensAnswer });
  return { tokens: [...tokenizer.encode(text)], text };
}

/** A chat's parameters as those of a completion: as many tokens as fit, unless it says. @throws {HttpError} 400 */
export function generationOf(chat: ChatParameters, { engine }: ServedModel, prompt: Prompt): GenerationParameters {
  const { model: _, messages: __, logprobs, top_logprobs: alternatives, max_tokens: most, ...sampling } = chat;
  if (alternatives !== undefined && !logprobs) throw badRequest('top_logprobs', 'invalid_value', 'top_logprobs needs logprobs: true');
  const fit = Math.max(1, engine.contextLength - prompt.tokens.length);
  return {
    ...sampling,
    echo: false,
    logprobs: logprobs ? (alternatives ?? 0) : undefined,
    max_tokens: most ?? sampling.max_completion_tokens ?? fit,
  };
}

const bytesOf = (token: string) => [...new TextEncoder().encode(token)];

/** @param alternatives so many are asked for */
function contentOf(logprobs: Logprobs | null, alternatives: number) {
  if (logprobs === null) return null;
  const content = logprobs.tokens.map((token, i) => ({
    token,
    logprob: logprobs.token_logprobs[i],
    bytes: bytesOf(token),
    top_logprobs: Object.entries(logprobs.top_logprobs[i] ?? {})
      .slice(0, alternatives)
      .map(([name, logprob]) => ({ token: name, logprob, bytes: bytesOf(name) })),
  }));
  return { content };
}

export function chatForm({ top_logprobs: alternatives = 0 }: ChatParameters): ResponseForm {
  const finish = ({ index, logprobs, finish_reason }: ChoicePart) => ({
    index,
    logprobs: contentOf(logprobs, alternatives),
    finish_reason,
  });
  return {
    prefix: 'chatcmpl-',
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    choice: (whole) => ({ message: { role: 'assistant', content: whole.text, refusal: null }, ...finish(whole) }),
    opening: (index) => ({ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }),
    chunk: (part) => ({ delta: part.text === '' ? {} : { content: part.text }, ...finish(part) }),
  };
}
