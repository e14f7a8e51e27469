/** The served run and those beside it, as training writes them: a run that is still going is told as far as it is. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { listCheckpoints, readRunManifest, runPaths } from '@sconelm/fgram-model';
import { z } from 'zod';
import type { RunEvaluation, RunList, RunPoint, RunReport } from './messages.js';

/** More would be drawn into the same pixels. */
const POINTS = 600;
/** Samples told, the newest. */
const SAMPLES = 50;

const count = z.number().nonnegative();
/** Of a step that was left out the norm is null. */
const optional = z
  .number()
  .nullish()
  .transform((value) => value ?? undefined);
const pointSchema = z.object({
  step: count,
  tokens: count,
  loss: z.number(),
  rate: optional,
  gradientNorm: optional,
  heldoutLoss: optional,
  seconds: optional,
});
const sampleSchema = z.object({ step: count, text: z.string() });
const evaluationSchema = z.object({
  loss: z.number(),
  perplexity: z.number(),
  bitsPerByte: z.number(),
  tokens: count,
  byLength: z.record(z.string(), z.object({ count, loss: z.number() })),
});

/** @param directory of the served run */
export async function listRuns(directory: string): Promise<RunList> {
  const parent = path.dirname(directory);
  const entries = await readdir(parent, { withFileTypes: true });
  const found = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map(async ({ name }) => {
        const own = path.join(parent, name);
        try {
          const manifest = await readRunManifest(own);
          const step = (await listCheckpoints(own)).at(-1) ?? 0;
          return [{ name, served: own === directory, step, hasFgrams: manifest.fgrams !== undefined }];
        } catch {
          return []; // no run, or none of this version
        }
      }),
  );
  return { runs: found.flat().sort((a, b) => Number(b.served) - Number(a.served) || a.name.localeCompare(b.name)) };
}

/** @param name of a run that is listed; undefined for any other */
export async function readRun(directory: string, name: string): Promise<RunReport | undefined> {
  const { runs } = await listRuns(directory);
  if (!runs.some((run) => run.name === name)) return undefined;
  const paths = runPaths(path.join(path.dirname(directory), name));
  const [points, samples, evaluation] = await Promise.all([
    readLines(paths.metrics, pointSchema),
    readLines(paths.samples, sampleSchema),
    readEvaluation(paths.evaluation),
  ]);
  return { name, points: thinned(points), samples: samples.slice(-SAMPLES), ...(evaluation && { evaluation }) };
}

/** Undefined where the run was not evaluated. */
export async function readEvaluation(file: string): Promise<RunEvaluation | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : parsed(text, evaluationSchema);
}

/** The lines that are whole: a run that is being trained may just write one. */
async function readLines<Schema extends z.ZodType>(file: string, schema: Schema): Promise<z.output<Schema>[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => parsed(line, schema) ?? []);
}

function parsed<Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Every so many-th point, held-out losses and the last one kept. */
function thinned(points: readonly RunPoint[]): RunPoint[] {
  const every = Math.ceil(points.length / POINTS);
  return points.filter((point, i) => i % every === 0 || i === points.length - 1 || point.heldoutLoss !== undefined);
}
