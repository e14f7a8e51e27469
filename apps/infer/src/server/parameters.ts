/**
 * The parameters of every route in one table: each is supported (it stands in a schema) or refused with a reason. A refused one may be sent with a
 * value that asks for nothing, as many clients do. Nothing is ignored in silence.
 */
import { z } from 'zod';
import { badRequest } from './errors.js';

const tokenId = z.int().nonnegative();
const tokenIds = z.array(tokenId).min(1);

/** Most sequences that one request may start: prompts times `n`. */
export const MAX_CHOICES = 128;

const model = z.string().max(200).optional().describe('The served model; its own name, or absent.');

const sampling = {
  max_completion_tokens: z.int().nonnegative().optional().describe('Another name of max_tokens.'),
  temperature: z.number().min(0).max(100).default(1).describe('0 is greedy.'),
  top_p: z.number().gt(0).max(1).default(1).describe('Only the most likely tokens whose probabilities sum to this.'),
  top_k: z.int().min(-1).optional().describe('Only so many of the most likely tokens; 0 and −1: all.'),
  min_p: z.number().min(0).max(1).default(0).describe('Only tokens at least so many times as likely as the most likely one.'),
  repetition_penalty: z.number().gt(0).max(100).default(1).describe('Divides positive logits of tokens that occurred.'),
  presence_penalty: z.number().min(-100).max(100).default(0).describe('Taken from the logit of every generated token.'),
  frequency_penalty: z.number().min(-100).max(100).default(0).describe('Taken from a token’s logit each time it was generated.'),
  logit_bias: z
    .record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100))
    .refine((bias) => Object.keys(bias).length <= 1000, 'at most 1,000 tokens')
    .optional()
    .describe('Added to the logits of tokens, by id.'),
  stop: z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(16)])
    .optional()
    .describe('The text ends before the first of these.'),
  stop_token_ids: z.array(tokenId).max(256).optional().describe('Any of these tokens ends the text.'),
  ignore_eos: z.boolean().default(false).describe('The end-of-text token does not end the text.'),
  n: z.int().min(1).max(16).default(1).describe('Choices per prompt.'),
  seed: z.int().optional().describe('The same seed gives the same text.'),
  stream: z.boolean().default(false),
  stream_options: z.strictObject({ include_usage: z.boolean().default(false) }).optional(),
  user: z.string().max(512).optional().describe('Accepted and not kept.'),
};

export const completionSchema = z.strictObject({
  model,
  prompt: z
    .union([z.string(), tokenIds, z.array(z.string()).min(1).max(MAX_CHOICES), z.array(tokenIds).min(1).max(MAX_CHOICES)])
    .describe('Text, texts, token ids, or lists of them.'),
  max_tokens: z.int().nonnegative().optional().describe('Tokens to generate at most; 16 by default.'),
  echo: z.boolean().default(false).describe('The prompt comes back before the text.'),
  logprobs: z.int().min(0).max(20).optional().describe('Log-probabilities, with so many alternatives.'),
  add_special_tokens: z.boolean().default(true).describe('Texts are opened by the end-of-text token, as documents are in training.'),
  ...sampling,
});

export type CompletionParameters = z.output<typeof completionSchema>;

/** What the engine is asked with, however the prompt came. */
export type GenerationParameters = Omit<CompletionParameters, 'model' | 'prompt' | 'add_special_tokens'>;

const messageText = z.union([
  z.string(),
  z.array(z.strictObject({ type: z.literal('text'), text: z.string() })).transform((parts) => parts.map(({ text }) => text).join('')),
]);

const messages = z
  .array(z.strictObject({ role: z.enum(['system', 'developer', 'user', 'assistant']), content: messageText }))
  .min(1)
  .max(1000)
  .describe('What was said so far; text only.');

export const chatSchema = z.strictObject({
  model,
  messages,
  max_tokens: z.int().nonnegative().optional().describe('Tokens to generate at most; as many as fit by default.'),
  logprobs: z.boolean().default(false).describe('Log-probabilities.'),
  top_logprobs: z.int().min(0).max(20).optional().describe('With logprobs: so many alternatives.'),
  ...sampling,
});

export type ChatParameters = z.output<typeof chatSchema>;

export const templateSchema = z.strictObject({ model, messages, add_generation_prompt: z.boolean().default(true) });

export const tokenizeSchema = z.strictObject({
  model,
  prompt: z.string(),
  add_special_tokens: z.boolean().default(true),
  return_token_strs: z.boolean().default(false),
});

export const detokenizeSchema = z.strictObject({ model, tokens: z.array(tokenId).max(2 ** 20) });

interface Refusal {
  /** A value that asks for nothing. */
  readonly neutral?: unknown;
  readonly because: string;
}

const NOT_TRUNCATED = 'prompts are never truncated';
const NO_TOOLS = 'tools are not supported';
const NO_GRAMMAR = 'output cannot be held to a grammar or to JSON';
const NO_BEAMS = 'there is no beam search';
const TEXT_ONLY = 'there is text only';

/** Parameters that other servers know. */
export const REFUSED: Readonly<Record<string, Refusal>> = {
  best_of: { neutral: 1, because: 'use n' },
  suffix: { neutral: '', because: 'text cannot be inserted before a suffix' },
  min_tokens: { neutral: 0, because: 'use ignore_eos' },
  truncate_prompt_tokens: { because: NOT_TRUNCATED },
  truncation: { neutral: 'disabled', because: NOT_TRUNCATED },
  use_beam_search: { neutral: false, because: NO_BEAMS },
  length_penalty: { neutral: 1, because: NO_BEAMS },
  early_stopping: { neutral: false, because: NO_BEAMS },
  skip_special_tokens: { neutral: true, because: 'special tokens end the text and are not part of it' },
  spaces_between_special_tokens: { neutral: true, because: 'special tokens end the text and are not part of it' },
  include_stop_str_in_output: { neutral: false, because: 'stop strings are not part of the text' },
  prompt_logprobs: { because: 'use echo and logprobs' },
  tools: { neutral: [], because: NO_TOOLS },
  tool_choice: { neutral: 'none', because: NO_TOOLS },
  parallel_tool_calls: { neutral: false, because: NO_TOOLS },
  functions: { neutral: [], because: NO_TOOLS },
  function_call: { neutral: 'none', because: NO_TOOLS },
  response_format: { neutral: { type: 'text' }, because: NO_GRAMMAR },
  guided_json: { because: NO_GRAMMAR },
  guided_regex: { because: NO_GRAMMAR },
  guided_choice: { because: NO_GRAMMAR },
  guided_grammar: { because: NO_GRAMMAR },
  structured_outputs: { because: NO_GRAMMAR },
  modalities: { neutral: ['text'], because: TEXT_ONLY },
  audio: { because: TEXT_ONLY },
  prediction: { because: 'predicted output is not used' },
  reasoning_effort: { because: 'the model does not reason apart' },
  store: { neutral: false, because: 'completions are not kept' },
  metadata: { because: 'completions are not kept' },
  service_tier: { neutral: 'auto', because: 'there is one tier' },
  typical_p: { neutral: 1, because: 'use top_p or min_p' },
  mirostat: { neutral: 0, because: 'use top_p or min_p' },
};

/**
 * Checks a body. `null` is as good as absent.
 * @throws {HttpError} 400: invalid_body, unknown_parameter, unsupported_parameter, invalid_value, naming the parameter
 */
export function parseParameters<Schema extends z.ZodObject>(schema: Schema, body: unknown): z.output<Schema> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest(null, 'invalid_body', 'the body must be a JSON object');
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue;
    if (Object.hasOwn(schema.shape, name)) {
      given[name] = value;
      continue;
    }
    if (!Object.hasOwn(REFUSED, name))
      throw badRequest(name.slice(0, 100), 'unknown_parameter', `there is no parameter '${name.slice(0, 100)}'`);
    const { neutral, because } = REFUSED[name];
    if (neutral !== undefined && JSON.stringify(neutral) === JSON.stringify(value)) continue;
    throw badRequest(name, 'unsupported_parameter', `'${name}' is not supported: ${because}`);
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  const param = String(path[0]);
  const code = given[param] === undefined ? 'missing_parameter' : 'invalid_value';
  throw badRequest(param, code, `${path.join('.')}: ${message}`);
}
