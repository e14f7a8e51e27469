/** `scone-infer bench`: how fast this machine reads prompts and decodes with a model, with f-grams and without, in turn. */
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { batchDecoder } from '../engine/batch-decoder.js';
import { Engine } from '../engine/engine.js';
import { InferError } from '../errors.js';
import { openRun, runOptions } from '../run-folder.js';

interface Measured {
  readonly prefillTokensPerSecond: number;
  readonly msPerStep: number;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1];

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'prompt and decoding speed of a model on this machine, with f-grams and without',
  examples: ['scone-infer bench --run runs/scone --sequences 16', 'scone-infer bench --model HuggingFaceTB/SmolLM2-135M --json'],
  config: z.strictObject({
    ...runOptions,
    sequences: z.int().min(2).max(256).default(8).describe('how many are measured side by side, besides one alone'),
    promptTokens: z.int().min(1).default(64).describe('tokens of each prompt'),
    tokens: z.int().min(2).default(32).describe('tokens that each sequence generates'),
    rounds: z.int().positive().default(5).describe('medians are over so many'),
  }),
  run: async ({ config, signal, progress, output }) => {
    const { sequences, promptTokens, tokens, rounds } = config;
    using device = await openDevice();
    await using run = await openRun(device, config);
    const { model, fgrams } = run;
    const { contextLength, vocabSize } = model.config.decoder;
    if (promptTokens + tokens > contextLength) {
      const message = `${promptTokens} tokens of prompt and ${tokens} to generate are more than the context of ${contextLength}`;
      throw new InferError('CONTEXT_LENGTH', message, 'Measure with fewer --prompt-tokens or --tokens.');
    }
    using decoder = batchDecoder(device, model, { slots: sequences, fgramsOf: fgrams?.forSequence });
    // Prompts are what the model writes itself: it has f-grams where its texts have them. Each owner's is read anew.
    const engine = new Engine(decoder, { maxWaiting: sequences, chunk: 4096 });
    let owners = 0;
    const generate = async (prompt: readonly number[], maxTokens: number, fgramLimit: number | undefined) => {
      const sampling = { temperature: 1, seed: owners };
      const owner = String(owners++);
      const written: number[] = [];
      for await (const event of engine.generate({ prompt, maxTokens, sampling, stopTokens: new Set(), owner, fgramLimit, signal })) {
        if (event.kind === 'token') written.push(event.token);
        if (event.kind === 'end') return { written, times: event.times };
      }
      throw new Error('unreachable: generations end');
    };
    const prompts = await Promise.all(
      Array.from({ length: sequences }, (_, i) => generate([i % vocabSize], promptTokens, undefined).then(({ written }) => written)),
    );
    const measure = async (batch: number, fgramLimit: number | undefined): Promise<Measured> => {
      const all = await Promise.all(prompts.slice(0, batch).map((prompt) => generate(prompt, tokens, fgramLimit)));
      const prefill = Math.max(...all.map(({ times }) => times.prefill));
      return {
        prefillTokensPerSecond: (1000 * batch * promptTokens) / prefill,
        msPerStep: median(all.map(({ times }) => times.decode / (tokens - 1))),
      };
    };
    const kinds =
      fgrams === undefined
        ? [{ fgrams: false, limit: undefined }]
        : [
            { fgrams: true, limit: undefined },
            { fgrams: false, limit: 1 },
          ];
    const rows = [1, sequences].flatMap((batch) => kinds.map((kind) => ({ batch, ...kind, rounds: [] as Measured[] })));
    // The first round compiles programs.
    for (let round = 0; round <= rounds; round++) {
      progress.update('measuring', { done: round, total: rounds, unit: 'rounds' });
      for (const row of rows) {
        const measured = await measure(row.batch, row.limit);
        if (round > 0) row.rounds.push(measured);
      }
    }
    const results = rows.map(({ batch, fgrams: withFgrams, rounds: all }) => {
      const msPerStep = median(all.map((one) => one.msPerStep));
      return {
        batch,
        fgrams: withFgrams,
        prefillTokensPerSecond: median(all.map((one) => one.prefillTokensPerSecond)),
        msPerStep,
        decodeTokensPerSecond: (1000 * batch) / msPerStep,
      };
    });
    const number = (value: number, digits = 0) =>
      value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
    const table = results.map((row) => [
      String(row.batch),
      row.fgrams ? 'with' : 'without',
      number(row.prefillTokensPerSecond),
      number(row.msPerStep, 2),
      number(row.decodeTokensPerSecond),
    ]);
    const { description, vendor } = device.info;
    output(
      { adapter: description || vendor, results },
      `${description || vendor}\n${formatTable([['sequences', 'f-grams', 'prompt tokens/s', 'ms per step', 'tokens/s'], ...table])}`,
    );
  },
});
