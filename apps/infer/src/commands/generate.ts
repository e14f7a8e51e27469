/** `scone-infer generate`. */
import { defineCommand } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { reportDamage } from '../damage.js';
import { batchDecoder } from '../engine/batch-decoder.js';
import { complete } from '../engine/completion.js';
import { Engine } from '../engine/engine.js';
import type { TokenScore } from '../engine/request.js';
import { matchesOf } from '../matches.js';
import { openRun, runOptions } from '../run-folder.js';
import { promptTokens } from '../text/prompt.js';
import { promptOf, promptOptions } from './prompt-option.js';
import { samplingOptions } from './sampling-options.js';

export const generateCommand = defineCommand({
  name: 'generate',
  positionals: ['prompt'],
  summary: 'text that goes on from a prompt, rows read from the store',
  examples: [
    'npm run infer -- generate --run runs/quickstart/scone --prompt "The people of the United States"',
    'scone-infer generate --model HuggingFaceTB/SmolLM2-135M --prompt "The people of"',
    'scone-infer generate --run runs/scone --prompt-file - --temperature 0 --stop "\\n" --json < prompt.txt',
  ],
  config: z.strictObject({
    ...runOptions,
    ...promptOptions,
    maxTokens: z.int().positive().default(100).describe('tokens to generate, as far as the context reaches'),
    ...samplingOptions,
    ignoreEos: z.boolean().default(false).describe('the end-of-text token does not end the text'),
    logprobs: z.int().min(0).max(20).default(0).describe('with --json: so many alternatives of each token'),
  }),
  run: async ({ config, signal, progress, write, output }) => {
    const started = performance.now();
    const prompt = await promptOf(config);
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, stopTokens, fgrams } = run;
    const { contextLength } = model.config.decoder;
    const tokens = promptTokens(tokenizer, prompt, contextLength);
    using decoder = batchDecoder(device, model, { slots: 1, fgramsOf: fgrams?.forSequence });
    const events = complete(new Engine(decoder), tokenizer, {
      prompt: tokens,
      maxTokens: Math.min(config.maxTokens, contextLength - tokens.length),
      sampling: config,
      stopTokens: new Set(config.ignoreEos ? [] : stopTokens),
      stopStrings: config.stop,
      alternatives: config.logprobs,
      signal,
    });
    const loadMs = performance.now() - started;
    const generated: { readonly score: TokenScore | undefined; readonly ms: number }[] = [];
    let text = prompt;
    let finish = 'length';
    let last = performance.now();
    write(prompt);
    for await (const event of events) {
      if (event.kind === 'prompt') continue;
      text += event.text;
      write(event.text);
      if (event.kind === 'end') finish = event.reason;
      else {
        tokens.push(event.token);
        const now = performance.now();
        generated.push({ score: event.score, ms: now - last });
        last = now;
      }
    }
    write('\n');
    const [firstMs = 0, ...betweenMs] = generated.map(({ ms }) => ms);
    betweenMs.sort((a, b) => a - b);
    const matches = matchesOf(fgrams?.set, tokenizer, tokens);
    const named = (score: TokenScore['top'][number]) => ({ ...score, text: tokenizer.tokenText(score.token) });
    const details = generated.map(({ score, ms }, i) => ({
      ...matches[tokens.length - generated.length + i],
      ...(score === undefined ? {} : { logProbability: score.logProbability, top: score.top.map(named) }),
      ms,
    }));
    output(
      {
        text,
        tokens: generated.length,
        finish,
        loadMs,
        firstTokenMs: firstMs,
        msPerToken: betweenMs[betweenMs.length >> 1] ?? 0,
        prompt: matches.slice(0, tokens.length - generated.length),
        generated: details,
        ...(fgrams === undefined ? {} : reportDamage(fgrams.rows, progress)),
      },
      '',
    );
  },
});
