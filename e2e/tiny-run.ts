/** A whole run folder in a second: random parameters, the f-grams of a few sentences, their rows. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sha256 } from '@sconelm/artifact';
import { type DecoderConfig, fingerprint, normal, saveCheckpoint, seedFor } from '@sconelm/decoder';
import { createModel, precompute, publishCheckpoint, runPaths, writeRunManifest } from '@sconelm/fgram-model';
import { openFgrams, publishFgrams, type RankedFgrams, Tokenizer, trainTokenizer } from '@sconelm/ngram-miner';
import { createStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';

export const TEXT =
  'The old man looked at the river and the café by the river. The cat sat on the mat and the dog ran from the house. '.repeat(6);

/** F-grams of two and three tokens that occur at least `minCount` times. */
function rankedFgrams(tokens: readonly number[], vocabSize: number, boundary: number, minCount: number): RankedFgrams {
  const counts = new Map<string, { tokens: readonly number[]; count: number }>();
  for (const length of [2, 3]) {
    for (let i = 0; i + length <= tokens.length; i++) {
      const key = tokens.slice(i, i + length).join();
      const entry = counts.get(key) ?? { tokens: tokens.slice(i, i + length), count: 0 };
      entry.count += 1;
      counts.set(key, entry);
    }
  }
  const byIds = (a: readonly number[], b: readonly number[]) =>
    a.map((token, i) => token - b[i]).find((difference) => difference !== 0) ?? 0;
  const ranked = [...counts.values()]
    .filter(({ count }) => count >= minCount)
    .sort((a, b) => b.count - a.count || a.tokens.length - b.tokens.length || byIds(a.tokens, b.tokens));
  const idOf = new Map(ranked.map((fgram, id) => [fgram.tokens.join(), id]));
  return {
    size: ranked.length,
    maxLength: 3,
    vocabSize,
    boundary,
    parents: Uint32Array.from(ranked, (fgram) =>
      fgram.tokens.length === 2 ? fgram.tokens[0] : vocabSize + (idOf.get(fgram.tokens.slice(0, 2).join()) ?? 0),
    ),
    tokens: Uint32Array.from(ranked, (fgram) => fgram.tokens.at(-1) ?? 0),
    counts: Float64Array.from(ranked, ({ count }) => count),
  };
}

/** @param form where the decoder departs from GPT-2 */
export async function createTinyRun(device: Device, directory: string, form: Partial<DecoderConfig> = {}): Promise<void> {
  await mkdir(directory, { recursive: true });
  const paths = runPaths(directory);
  const json = JSON.stringify(trainTokenizer([TEXT], { vocabSize: 290 }));
  await writeFile(paths.tokenizer, json);
  const tokenizer = Tokenizer.parse(json);
  const tokens = [tokenizer.endOfText, ...tokenizer.encode(TEXT)];
  await publishFgrams(paths.fgrams, rankedFgrams(tokens, tokenizer.vocabSize, tokenizer.endOfText, 3), { minCount: 3 });
  const set = await openFgrams(paths.fgrams);
  const decoder = { vocabSize: tokenizer.vocabSize, contextLength: 64, layers: 2, width: 32, heads: 2, ...form };
  const fgram = { maxLength: 3, layers: 1, width: decoder.width, heads: 2, unit: 0.03, finalNorm: false };
  using model = createModel(device, { decoder, fgram }, { seed: 1 });
  // A fresh f-gram model's rows are the tokens' embeddings: here they differ.
  for (const variable of model.variables) {
    const values = (await variable.read()) as Float32Array<ArrayBuffer>;
    const own = seedFor(7, variable.name);
    variable.write(values.map((value, i) => value + 0.1 * normal(own, i)));
  }
  await writeRunManifest(directory, { model: { decoder, fgram }, tokenizer: sha256(json), fgrams: set.hash, training: {} });
  await publishCheckpoint(directory, 1, (aside) => saveCheckpoint(path.join(aside, 'model.safetensors'), model.variables), { last: 1 });
  const binding = { fgrams: set.hash, model: await fingerprint(model.variables) };
  await using writer = await createStore(`file:${paths.rows}`, { rows: set.size, width: decoder.width, dtype: 'f32', binding });
  await precompute(device, set, model, fgram, writer);
  await writer.publish();
}
