/** The chat template of a model's folder, as Hugging Face keeps it: a file of its own, or in tokenizer_config.json. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { MissingArtifactError, withArtifactErrors } from '@sconelm/artifact';
import { z } from 'zod';
import { InferError } from '../errors.js';

export interface ChatTemplate {
  /** Jinja. */
  readonly source: string;
  /** What the template calls bos_token and eos_token. */
  readonly beginToken: string;
  readonly endToken: string;
}

/** A template beyond this is no template. */
const MAX_CHARACTERS = 2 ** 18;

const tokenSchema = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]).nullish();
const configSchema = z.looseObject({
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
  bos_token: tokenSchema,
  eos_token: tokenSchema,
});

/** @returns undefined where the folder has none @throws {InferError} CHAT_TEMPLATE @throws {ArtifactError} */
export async function readChatTemplate(directory: string): Promise<ChatTemplate | undefined> {
  const own = await readOptional(path.join(directory, 'chat_template.jinja'));
  const file = path.join(directory, 'tokenizer_config.json');
  const text = await readOptional(file);
  let config: z.output<typeof configSchema>;
  try {
    config = configSchema.parse(JSON.parse(text ?? '{}'));
  } catch (cause) {
    throw new InferError('CHAT_TEMPLATE', `${file} is not as tokenizers keep it`, 'Download this model again.', cause);
  }
  const { chat_template: named, bos_token: begin, eos_token: end } = config;
  const source = own ?? (Array.isArray(named) ? named.find(({ name }) => name === 'default')?.template : named);
  if (source === undefined || source === null) return undefined;
  if (source.length > MAX_CHARACTERS) {
    throw new InferError(
      'CHAT_TEMPLATE',
      `the chat template of ${directory} has ${source.length} characters`,
      `Use one of at most ${MAX_CHARACTERS}.`,
    );
  }
  return { source, beginToken: begin ?? '', endToken: end ?? '' };
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await withArtifactErrors(file, () => readFile(file, 'utf8'));
  } catch (error) {
    if (error instanceof MissingArtifactError) return undefined;
    throw error;
  }
}
