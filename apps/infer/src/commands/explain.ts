/** `scone-infer explain`: what the model looked up at each token of a text, and what it was good for. */
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import type { RowStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { reportDamage } from '../damage.js';
import { batchDecoder } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { InferError } from '../errors.js';
import { matchesOf, type TokenMatch } from '../matches.js';
import { openRun, runOptions } from '../run-folder.js';

export const explainCommand = defineCommand({
  name: 'explain',
  positionals: ['text'],
  summary: 'per token of a text: the f-gram looked up, its rank and count, where its row is from, the loss with and without f-grams',
  examples: ['npm run infer -- explain --run runs/quickstart/scone "The people of the United States"'],
  config: z.strictObject({ ...runOptions, text: z.string().min(1).describe('what is explained, as far as the context reaches') }),
  run: async ({ config, progress, signal, output }) => {
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, tokenizer, fgrams } = run;
    const tokens = [tokenizer.endOfText, ...tokenizer.encode(config.text)];
    const { contextLength } = model.config.decoder;
    if (tokens.length > contextLength) {
      throw new InferError('PROMPT', `the text has ${tokens.length} tokens, the context ${contextLength}`, 'Use a shorter text.');
    }
    /** Nats per token; none for the first. */
    const losses = async (fgramsOf: (() => ReturnType<NonNullable<typeof fgrams>['forSequence']>) | undefined) => {
      using decoder = batchDecoder(device, model, { slots: 1, fgramsOf });
      const request = { prompt: tokens, maxTokens: 0, sampling: {}, stopTokens: new Set<number>(), scoresPrompt: true, signal };
      for await (const event of new Engine(decoder).generate(request))
        if (event.kind === 'prompt') return event.scores.map((score) => (score === undefined ? undefined : -score.logProbability));
      throw new Error('unreachable: a prompt that is scored has scores');
    };
    const withFgrams = await losses(fgrams?.forSequence);
    const without = fgrams === undefined ? undefined : await losses(undefined);
    const matches = matchesOf(fgrams?.set, tokenizer, tokens);
    const lost = await lostRows(fgrams?.rows, matches);
    const sourceOf = (id: number) => (lost.has(id) ? 'lost' : id < config.hotRows ? 'memory' : 'store');
    const rows = matches.map(({ fgram, ...token }, i) => ({
      ...token,
      ...(fgram === undefined ? {} : { fgram: { ...fgram, rank: fgram.id + 1, source: sourceOf(fgram.id) } }),
      ...(withFgrams[i] === undefined ? {} : { loss: withFgrams[i] }),
      ...(without?.[i] === undefined ? {} : { lossWithout: without[i] }),
    }));
    const table = rows.map(({ text, fgram, loss, lossWithout }) => [
      JSON.stringify(text),
      fgram === undefined ? '' : JSON.stringify(fgram.text),
      fgram?.rank.toLocaleString('en') ?? '',
      fgram?.count.toLocaleString('en') ?? '',
      fgram?.source ?? '',
      loss?.toFixed(2) ?? '',
      lossWithout?.toFixed(2) ?? '',
    ]);
    output(
      { tokens: rows, ...(fgrams === undefined ? {} : reportDamage(fgrams.rows, progress)) },
      formatTable([['token', 'f-gram', 'rank', 'count', 'row', 'loss', 'without'], ...table]),
    );
  },
});

/** Ids of rows that could not be had, where that is no error. */
async function lostRows(store: RowStore | undefined, matches: readonly TokenMatch[]): Promise<ReadonlySet<number>> {
  const ids = Uint32Array.from(matches.flatMap(({ fgram }) => fgram?.id ?? []));
  if (store === undefined || ids.length === 0) return new Set();
  const lost = new Uint8Array(ids.length);
  await store.read(ids, new Float32Array(ids.length * store.width), { lost });
  return new Set(ids.filter((_, i) => lost[i] === 1));
}
