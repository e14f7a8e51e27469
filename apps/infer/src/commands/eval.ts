/** `scone-infer eval`: how well a run predicts text of one's own, through its store. */
import { defineCommand } from '@sconelm/cli-kit';
import { evaluate } from '@sconelm/fgram-model';
import { readDocuments } from '@sconelm/ngram-miner';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { reportDamage } from '../damage.js';
import { InferError } from '../errors.js';
import { openRun, runOptions } from '../run-folder.js';

export const evalCommand = defineCommand({
  name: 'eval',
  summary: 'perplexity and bits per byte of text files, rows read from the store',
  examples: ['npm run infer -- eval --run runs/quickstart/scone --text speech.txt'],
  config: z.strictObject({
    ...runOptions,
    text: z.array(z.string()).min(1).describe('files or folders: .txt, .jsonl (also .gz, .zst), .parquet'),
  }),
  run: async ({ config, progress, signal, output }) => {
    const documents: string[] = [];
    for await (const { text } of readDocuments(config.text)) documents.push(text);
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, fgrams } = run;
    const tokens = documents.flatMap((document) => [tokenizer.endOfText, ...tokenizer.encode(document)]);
    const { contextLength } = model.config.decoder;
    if (tokens.length <= contextLength) {
      throw new InferError(
        'TEXT_SHORT',
        `${tokens.length} tokens are fewer than one window of ${contextLength} and its targets`,
        'Give more text.',
      );
    }
    const {
      loss,
      tokens: count,
      byLength,
    } = await evaluate(device, model, tokens, {
      ...fgrams?.forSequence(),
      signal,
      onProgress: (done, total) => progress.update('evaluating', { done, total, unit: 'tokens' }),
    });
    const bytes = documents.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
    const bitsPerByte = loss / Math.LN2 / (bytes / tokens.length);
    const hitRate = 1 - (byLength[1]?.count ?? 0) / count;
    const throughStore = fgrams === undefined ? {} : { hitRate, ...reportDamage(fgrams.rows, progress) };
    const result = { tokens: count, bytes, loss, perplexity: Math.exp(loss), bitsPerByte, ...throughStore };
    output(
      result,
      `${count.toLocaleString('en')} tokens: loss ${loss.toFixed(3)} nats, perplexity ${result.perplexity.toFixed(1)}, ${bitsPerByte.toFixed(3)} bits per byte${fgrams === undefined ? '' : `, hit rate ${(100 * hitRate).toFixed(1)}%`}\n`,
    );
  },
});
