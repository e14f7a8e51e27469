/** A prompt, as commands take it: on the command line, in a file, or on standard input. */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { text as textOf } from 'node:stream/consumers';
import { z } from 'zod';
import { InferError } from '../errors.js';

/** `--prompt` may stand by itself, as the first argument without a name. */
export const promptOptions = {
  prompt: z.string().default('').describe('text to go on from, or to look at'),
  promptFile: z.string().optional().describe('a file of it; - is standard input'),
};

/** @throws {InferError} PROMPT */
export async function promptOf({
  prompt,
  promptFile,
}: {
  readonly prompt: string;
  readonly promptFile?: string | undefined;
}): Promise<string> {
  if (promptFile === undefined) return prompt;
  if (prompt !== '') throw new InferError('PROMPT', 'there are a prompt and a file of it', 'Give one of them.');
  if (promptFile === '-') return textOf(process.stdin);
  try {
    return await readFile(promptFile, 'utf8');
  } catch (cause) {
    throw new InferError('PROMPT', `${promptFile} cannot be read`, 'Check the path.', cause);
  }
}
