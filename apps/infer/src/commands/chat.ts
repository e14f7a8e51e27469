/** `scone-infer chat`: a conversation in the terminal, with a model whose folder has a chat template. */
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { defineCommand } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { openChat } from '../chat/open-chat.js';
import type { ChatMessage } from '../chat/template-worker.js';
import { batchDecoder } from '../engine/batch-decoder.js';
import { complete } from '../engine/completion.js';
import { Engine } from '../engine/engine.js';
import { InferError } from '../errors.js';
import { openRun, runOptions } from '../run-folder.js';
import { chatPrompt } from '../server/chat.js';
import { samplingOptions } from './sampling-options.js';

export const chatCommand = defineCommand({
  name: 'chat',
  summary: 'a conversation in the terminal, line by line; the model’s folder must have a chat template',
  examples: [
    'scone-infer chat --model HuggingFaceTB/SmolLM2-135M-Instruct',
    'scone-infer chat --run runs/scone --system "Answer in one sentence." --json < questions.txt',
  ],
  config: z.strictObject({
    ...runOptions,
    ...samplingOptions,
    system: z.string().optional().describe('what the model is told first'),
    maxTokens: z.int().positive().default(256).describe('tokens of an answer, as far as the context reaches'),
  }),
  run: async ({ config, progress, signal, write, output }) => {
    using device = await openDevice();
    await using run = await openRun(device, config);
    await using chat = await openChat(run);
    if (chat === undefined) {
      throw new InferError('CHAT_TEMPLATE', `${run.directory} has no chat template`, 'Use generate, or a model that has one.');
    }
    const { model, tokenizer, stopTokens, fgrams } = run;
    using decoder = batchDecoder(device, model, { slots: 1, fgramsOf: fgrams?.forSequence });
    // One engine for all: what was said before is in its cache.
    const engine = new Engine(decoder);
    const messages: ChatMessage[] = config.system === undefined ? [] : [{ role: 'system', content: config.system }];
    progress[Symbol.dispose]();
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY });
    signal.addEventListener('abort', () => lines.close());
    lines.setPrompt(process.stdin.isTTY ? '> ' : '');
    lines.prompt();
    for await (const line of lines) {
      if (line.trim() !== '') {
        messages.push({ role: 'user', content: line });
        const prompt = await chatPrompt(chat, messages);
        const room = engine.contextLength - prompt.tokens.length;
        if (room < 1) {
          throw new InferError(
            'CONTEXT_LENGTH',
            `the conversation has ${prompt.tokens.length} tokens, the context ${engine.contextLength}`,
            'Begin another conversation.',
          );
        }
        const answer = complete(engine, tokenizer, {
          prompt: prompt.tokens,
          maxTokens: Math.min(config.maxTokens, room),
          sampling: config,
          stopTokens: new Set(stopTokens),
          stopStrings: config.stop,
          signal,
        });
        let content = '';
        for await (const event of answer) {
          if (event.kind !== 'token' && event.kind !== 'end') continue;
          content += event.text;
          write(event.text);
        }
        write('\n');
        messages.push({ role: 'assistant', content });
      }
      lines.prompt();
    }
    output({ messages }, '');
  },
});
