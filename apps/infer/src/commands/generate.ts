/** `scone-infer generate`. */
import { defineCommand } from '@sconelm/cli-kit';
import { DecodeSession, Sampler } from '@sconelm/decoder';
import { FgramSession, generateTokens } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { reportDamage } from '../damage.js';
import { InferError } from '../errors.js';
import { openRun, runOptions } from '../run-folder.js';

export const generateCommand = defineCommand({
  name: 'generate',
  summary: 'text that goes on from a prompt, rows read from the store',
  examples: ['npm run infer -- generate --run runs/quickstart/scone --prompt "The people of the United States"'],
  config: z.strictObject({
    ...runOptions,
    prompt: z.string().default('').describe('text to go on from'),
    maxTokens: z.int().positive().default(100).describe('tokens to generate, as far as the context reaches'),
    temperature: z.number().nonnegative().default(0.8).describe('0 is greedy'),
    topK: z.int().positive().optional().describe('only the k most likely tokens'),
    topP: z.number().positive().max(1).default(1).describe('only the most likely tokens of this mass'),
    seed: z.int().nonnegative().default(0).describe('the same seed gives the same text'),
  }),
  run: async ({ config, signal, progress, write, output }) => {
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, fgrams } = run;
    const { temperature, topK, topP, seed } = config;
    const sampler = new Sampler({ temperature, topP, seed, ...(topK === undefined ? {} : { topK }) });
    const tokens = [tokenizer.endOfText, ...tokenizer.encode(config.prompt)];
    const { contextLength } = model.config.decoder;
    if (tokens.length >= contextLength) {
      throw new InferError('PROMPT', `the prompt has ${tokens.length} tokens, the context ${contextLength}`, 'Use a shorter prompt.');
    }
    using session = new DecodeSession(device, model.config.decoder, model.parameters);
    const decoding = new FgramSession(session, fgrams);
    const times: number[] = [];
    let shown = '';
    const options = { sampler, count: config.maxTokens, stopToken: tokenizer.endOfText, signal };
    for await (const { token, ms } of generateTokens(decoding, tokens, options)) {
      tokens.push(token);
      times.push(ms);
      // A character may be spread over several tokens; what is not whole yet waits.
      const text = tokenizer.decode(tokens.slice(1));
      if (text.endsWith('\ufffd')) continue;
      write(text.slice(shown.length));
      shown = text;
    }
    const text = tokenizer.decode(tokens.slice(1));
    times.sort((a, b) => a - b);
    const msPerToken = times[times.length >> 1] ?? 0;
    output(
      { text, tokens: times.length, msPerToken, ...(fgrams === undefined ? {} : reportDamage(fgrams.rows, progress)) },
      `${text.slice(shown.length)}\n`,
    );
  },
});
