/** What a chat with a run or a model needs: its folder's template in a thread, and a tokenizer that takes the names of special tokens for those tokens. */
import { Tokenizer } from '@sconelm/ngram-miner';
import type { Run } from '../run-folder.js';
import type { ServedChat } from '../server/served-model.js';
import { readChatTemplate } from './chat-template.js';
import { TemplateRenderer } from './template-renderer.js';

/** @returns undefined where the folder has no template @throws {InferError} CHAT_TEMPLATE */
export async function openChat({ directory, tokenizerJson }: Run): Promise<(ServedChat & AsyncDisposable) | undefined> {
  const template = await readChatTemplate(directory);
  if (template === undefined) return undefined;
  const renderer = new TemplateRenderer(template);
  const tokenizer = Tokenizer.parse(tokenizerJson, { specialTokens: 'parse' });
  return { template, renderer, tokenizer, [Symbol.asyncDispose]: () => renderer[Symbol.asyncDispose]() };
}
