/** The README.md of an exported model: what it is, of what it was made, how good it is held to be, and what it must not be trusted with. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { withArtifactErrors } from '@sconelm/artifact';
import { countParameters, decoderShapes, inferenceFlopsPerToken } from '@sconelm/decoder';
import { type RunManifest, runPaths } from '@sconelm/fgram-model';
import { z } from 'zod';
import { readRunEvaluation } from './evaluate-run.js';
import { hitRateOf, type RunEvaluation } from './summary.js';

/** What only the one who exports knows. */
export interface CardFacts {
  readonly name: string;
  /** What the text is, and where it is from. */
  readonly corpus: string | undefined;
  /** Of the model: an identifier of SPDX or of the hub. */
  readonly licence: string | undefined;
  /** Whether the f-grams' rows are in the folder, and in which form. */
  readonly rows: { readonly count: number; readonly dtype: string } | undefined;
  /** Whether scone_reference.py knows this decoder. */
  readonly reference: boolean;
}

const sessionSchema = z.looseObject({
  ...{ date: z.string(), command: z.string(), adapter: z.string() },
  /** Of Scone; the commit where it ran from a checkout. */
  ...{ version: z.string().optional(), commit: z.string().optional() },
});
type Session = z.infer<typeof sessionSchema>;

/** @returns markdown with the hub's front matter @throws {ArtifactError} */
export async function modelCard(directory: string, manifest: RunManifest, facts: CardFacts): Promise<string> {
  const [sessions, evaluation] = [await readSessions(runPaths(directory).sessions), await readRunEvaluation(directory)];
  const parts = [
    frontMatter(facts),
    `# ${facts.name}`,
    whatItIs(manifest, facts),
    `## Made of\n\n${facts.corpus ?? 'The corpus is not stated: `scone-train export --corpus` says it.'}`,
    `## Training\n\n${training(manifest, sessions)}`,
    `## Results\n\n${results(evaluation)}`,
    `## Use\n\n${use(facts)}`,
    `## Limits\n\n${limits(manifest, facts)}`,
  ];
  return `${parts.join('\n\n')}\n`;
}

/** A run that was imported has none. */
async function readSessions(file: string): Promise<Session[]> {
  if (!existsSync(file)) return [];
  const lines = (await withArtifactErrors(file, () => readFile(file, 'utf8'))).split('\n');
  return lines.flatMap((line) => {
    try {
      return [sessionSchema.parse(JSON.parse(line))];
    } catch {
      return []; // the end of a file that was cut off
    }
  });
}

function frontMatter({ licence }: CardFacts): string {
  const fields = { license: licence ?? 'unknown', library_name: 'scone', pipeline_tag: 'text-generation' };
  const lines = Object.entries(fields).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return ['---', ...lines, 'tags: [scone, f-grams]', '---'].join('\n');
}

const count = (value: number) => value.toLocaleString('en');

function whatItIs({ model: { decoder, fgram } }: RunManifest, { rows }: CardFacts): string {
  const sizes = `${count(countParameters(decoderShapes(decoder)))} parameters: ${decoder.layers} layers, width ${decoder.width}, ${decoder.heads} heads, ${count(decoder.vocabSize)} tokens, ${count(decoder.contextLength)} positions; ${count(inferenceFlopsPerToken(decoder))} FLOPs a token.`;
  if (fgram === undefined) return `A decoder without f-grams, trained by Scone. ${sizes}`;
  const store =
    rows === undefined
      ? 'The rows of its f-grams are **not in this folder**: without them the decoder is not the model that was measured.'
      : `${count(rows.count)} rows (${rows.dtype}) stand for its f-grams of 2 to ${fgram.maxLength} tokens.`;
  return `A SCONE language model [Yu et al., 2025, arXiv 2502.01637]: the longest frequent n-gram that ends at a token gives the decoder a row in the place of the token's embedding. ${sizes} ${store}`;
}

function training({ training }: RunManifest, sessions: readonly Session[]): string {
  const facts = Object.entries(training).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  const commands = sessions.map(
    ({ date, command, adapter, version, commit }) =>
      `- ${date.slice(0, 10)}: \`scone-train ${command.replaceAll('`', "'")}\` on ${adapter}${version === undefined ? '' : `, Scone ${version}`}${commit === undefined ? '' : `, commit ${commit}`}`,
  );
  return [commands.join('\n'), `Settings: ${facts.join(', ')}.`].filter((part) => part !== '').join('\n\n');
}

function results(evaluation: RunEvaluation | undefined): string {
  if (evaluation === undefined) return 'Not evaluated: `scone-train eval` does that, before the export.';
  const { perplexity, loss, bitsPerByte, tokens, through } = evaluation;
  const rows = [
    ['held-out tokens', count(tokens)],
    ['perplexity', perplexity.toFixed(2)],
    ['loss, nats a token', loss.toFixed(4)],
    ['bits per byte', bitsPerByte.toFixed(4)],
    ['positions where an f-gram ends', `${(100 * hitRateOf(evaluation)).toFixed(1)}%`],
    ['matched positions embedded by', through === 'tokens' ? 'their tokens' : `the ${through}`],
  ];
  return ['| | |', '| --- | --- |', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
}

function use({ rows, reference }: CardFacts): string {
  const files = [
    '`config.json`, `tokenizer.json` and the weights are in the form of Hugging Face; any tool that knows it runs the decoder.',
    ...(rows === undefined ? [] : ['`fgrams.jsonl` has the tokens of each f-gram, a line per id, and `rows-*.safetensors` a row per id.']),
    ...(reference
      ? ['`python3 scone_reference.py TOKEN...` is the whole model in numpy, f-grams included, for reading and comparing.']
      : []),
  ];
  return files.map((line) => `- ${line}`).join('\n');
}

function limits({ model: { fgram } }: RunManifest, { rows }: CardFacts): string {
  const lines = [
    'It says what is likely to follow in text like its corpus, true or not, and may repeat that text word by word.',
    ...(fgram === undefined || rows !== undefined ? [] : ['Tools that know no f-grams give worse text than the results above.']),
    ...(rows === undefined
      ? []
      : ['Whoever serves the rows to a decoder elsewhere sees which are asked for, and with `fgrams.jsonl` what the prompt says.']),
    'It was not tuned to follow instructions, and nothing was done about bias or harmful text.',
  ];
  return lines.map((line) => `- ${line}`).join('\n');
}
