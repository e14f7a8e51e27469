/** `scone-infer generate`. */
import path from 'node:path';
import { defineCommand } from '@sconelm/cli-kit';
import { DecodeSession, Sampler } from '@sconelm/decoder';
import { FgramSession } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { InferError, openRun } from '../run-folder.js';

export const generateCommand = defineCommand({
  name: 'generate',
  summary: 'text that goes on from a prompt, rows read from the store',
  examples: ['npm run infer -- generate --run runs/quickstart --prompt "The people of the United States"'],
  config: z.strictObject({
    run: z.string().default('runs/quickstart').describe('a finished training run'),
    prompt: z.string().default('').describe('text to go on from'),
    maxTokens: z.int().positive().default(100).describe('tokens to generate, as far as the context reaches'),
    temperature: z.number().nonnegative().default(0.8).describe('0 is greedy'),
    topK: z.int().positive().optional().describe('only the k most likely tokens'),
    topP: z.number().positive().max(1).default(1).describe('only the most likely tokens of this mass'),
    seed: z.int().nonnegative().default(0).describe('the same seed gives the same text'),
  }),
  run: async ({ config, signal, output }) => {
    using device = await openDevice();
    const { decoder, variables, tokenizer, set, store } = await openRun(device, path.resolve(config.run));
    const { temperature, topK, topP, seed } = config;
    const sampler = new Sampler({ temperature, topP, seed, ...(topK === undefined ? {} : { topK }) });
    const prompt = [tokenizer.endOfText, ...tokenizer.encode(config.prompt)];
    if (prompt.length >= decoder.contextLength) {
      throw new InferError(
        'PROMPT',
        `the prompt has ${prompt.length} tokens, the context ${decoder.contextLength}`,
        'Use a shorter prompt.',
      );
    }
    using session = new DecodeSession(device, decoder, (name) => variables.get(name).tensor);
    const decoding = new FgramSession(session, decoder.width, { matcher: set.matcher(tokenizer.endOfText), rows: store });
    const tokens = [...prompt];
    let logits = await decoding.append(prompt);
    const count = Math.min(config.maxTokens, decoder.contextLength - prompt.length);
    const started = performance.now();
    for (let i = 0; i < count; i++) {
      signal.throwIfAborted();
      const token = sampler.next(logits.subarray(logits.length - decoder.vocabSize));
      if (token === tokenizer.endOfText) break;
      tokens.push(token);
      if (i + 1 < count) logits = await decoding.append([token]);
    }
    const seconds = (performance.now() - started) / 1000;
    await store.close();
    const text = tokenizer.decode(tokens.slice(1));
    const generated = tokens.length - prompt.length;
    output({ text, tokens: generated, seconds }, `${text}\n`);
  },
});
