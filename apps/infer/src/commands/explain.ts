/** `scone-infer explain`: what the model looked up at each token of a text, and what it was good for. */
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { reportDamage } from '../damage.js';
import { batchDecoder } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { InferError } from '../errors.js';
import { explainWindow } from '../inspect/explain-window.js';
import { openRun, runOptions } from '../run-folder.js';
import { promptOf, promptOptions } from './prompt-option.js';

export const explainCommand = defineCommand({
  name: 'explain',
  positionals: ['prompt'],
  summary: 'per token of a text: the f-gram looked up, its rank and count, where its row is from, the loss with and without f-grams',
  examples: ['npm run infer -- explain --run runs/quickstart/scone "The people of the United States"'],
  config: z.strictObject({ ...runOptions, ...promptOptions }),
  run: async ({ config, progress, signal, output }) => {
    const text = await promptOf(config);
    if (text === '') throw new InferError('PROMPT', 'there is no text', 'Give a --prompt, or a --prompt-file.');
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, fgrams } = run;
    const tokens = [tokenizer.endOfText, ...tokenizer.encode(text)];
    const { contextLength } = model.config.decoder;
    if (tokens.length > contextLength) {
      throw new InferError('PROMPT', `the text has ${tokens.length} tokens, the context ${contextLength}`, 'Use a shorter text.');
    }
    using decoder = batchDecoder(device, model, { slots: 2, fgramsOf: fgrams?.forSequence });
    const explained = await explainWindow({ engine: new Engine(decoder), tokenizer, fgrams: fgrams?.set }, tokens, { signal });
    const table = explained.map(({ text: token, fgram, loss, lossWithout }) => [
      JSON.stringify(token),
      fgram === undefined ? '' : JSON.stringify(fgram.text),
      fgram?.rank.toLocaleString('en') ?? '',
      fgram?.count.toLocaleString('en') ?? '',
      fgram?.tier ?? '',
      loss?.toFixed(2) ?? '',
      lossWithout?.toFixed(2) ?? '',
    ]);
    output(
      {
        tokens: explained.map((token, i) => ({ token: tokens[i], ...token })),
        ...(fgrams === undefined ? {} : reportDamage(fgrams.rows, progress)),
      },
      formatTable([['token', 'f-gram', 'rank', 'count', 'row', 'loss', 'without'], ...table]),
    );
  },
});
