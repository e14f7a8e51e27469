/** What is told of results, and where it is put. Grids themselves take hours: the runs they are made of are tested with the trainer. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bandOf } from '../run/count-bands.js';
import { modelOf } from '../run/model-config.js';
import { EXPERIMENTS } from './experiments.js';
import { type GridRun, type RunResult, runOptionsSchema, runResultSchema } from './grid.js';
import { markdownTable, placed, writeFindings } from './render-results.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'sconelm-experiment-'));
});
afterAll(() => rm(folder, { recursive: true }));

const all = EXPERIMENTS.flatMap(({ runs }) => runs);

/** A result whose perplexity is `10 + n` for the n-th run. */
function resultOf({ id, options, fgrams }: GridRun, n: number): RunResult {
  const group = { count: 1000, loss: 1000 * Math.log(10 + n) };
  const through = { ...group, bitsPerByte: 2, hitRate: 0.9 };
  const domains = { inDomain: through, outOfDomain: through };
  const cost = { nodesPerToken: 1.5, flopsPerToken: 1e6, stepMs: 34, arenaBytes: 1e6 };
  return runResultSchema.parse({
    ...{ id, date: '2026-01-01', adapter: 'an adapter', seed: options.seed ?? 1, trainingTokens: options.tokens, trainingFlops: 1e12 },
    ...{
      inferenceFlops: 3e5,
      decoderParameters: 1e5,
      trainedParameters: 2e5,
      nodesPerToken: 1.5,
      paddedPerToken: 2.4,
      fgrams: fgrams.maxFgrams,
    },
    ...{ inDomain: group, bitsPerByte: 2, outOfDomain: group, outOfDomainBitsPerByte: 2.5 },
    ...{ byLength: { 1: { count: 400, loss: 800 }, 2: { count: 600, loss: 900 } }, byCount: { unmatched: group, 'below 40': group } },
    curve: [1, 2, 3].map((epoch) => ({ tokens: epoch * 1000, loss: 3 })),
    byDtype: { f32: { loss: 1, rowBytes: 256 }, int8: { loss: 1.001, rowBytes: 68 } },
    pack: { added: 1234, own: domains, ...(options.plain ? {} : { extended: domains }) },
    forest: { forest: cost, alone: { ...cost, stepMs: 68 }, padded: cost },
  });
}

describe('experiments', () => {
  it('declare runs of options that there are; runs of one name are the same run', () => {
    for (const { options, fgrams } of all) {
      const given = runOptionsSchema.parse(options);
      modelOf(given, 1024, given.plain ? undefined : { maxLength: fgrams.maxLength, size: fgrams.maxFgrams });
    }
    for (const { id, ...run } of all) expect(all.find((other) => other.id === id)).toEqual({ id, ...run });
  });

  it.each(EXPERIMENTS.map((experiment) => [experiment.name, experiment] as const))(
    '%s tells of all, some or no results',
    (_, experiment) => {
      const results = new Map(experiment.runs.map((run, n) => [run.id, resultOf(run, n)]));
      for (const known of [results, new Map([...results].slice(0, 1)), new Map<string, RunResult>()]) {
        const { table, plots } = experiment.findings((id) => known.get(id));
        for (const row of table) expect(row.length).toBe(table[0].length);
        expect(JSON.stringify([table, plots])).not.toMatch(/NaN|undefined|Infinity/);
      }
      const { table } = experiment.findings((id) => results.get(id));
      expect(JSON.stringify(table)).toContain({ dtype: '"68"', forest: '68.0 (2.00×)' }[experiment.name] ?? '10.0');
    },
  );

  it('group positions by the counts of their f-grams', () => {
    expect([undefined, 5, 39, 40, 300, 1000, 1e9].map(bandOf)).toEqual([
      'unmatched',
      'below 40',
      'below 40',
      '40 to 99',
      '300 to 999',
      '1,000 and more',
      '1,000 and more',
    ]);
  });
});

describe('a document of results', () => {
  it('keeps what is written around its parts', () => {
    const once = placed('# Results\n\nwords\n', 'a', 'first');
    const both = placed(once, 'b', 'second');
    const again = placed(both.replace('words', 'other words'), 'a', 'third');
    expect(again).toMatch(
      /^# Results\n\nother words\n\n<!-- experiment a -->\n\nthird\n\n<!-- end of a -->\n\n<!-- experiment b -->\n\nsecond/,
    );
    expect(placed(again, 'a', 'third')).toBe(again);
  });

  it('has tables, plots and what the runs were', async () => {
    const [experiment] = EXPERIMENTS.filter(({ name }) => name === 'size');
    const file = path.join(folder, 'results.md');
    await writeFindings(file, experiment, new Map(experiment.runs.map((run, n) => [run.id, resultOf(run, n)])));
    const text = await readFile(file, 'utf8');
    expect(text).toContain('| S = 1,000, A of 2 layers | 10.0 |');
    expect(text).toContain('8 of 8 runs; seeds 1; 499,712 training and 1,000 held-out tokens; an adapter; 2026-01-01.');
    expect(text).toContain('](results/fgrams.svg)');
    const plot = await readFile(path.join(folder, 'results', 'fgrams.svg'), 'utf8');
    expect(plot).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(plot).toContain('<polyline');
  });

  it('escapes what would end a cell', () => {
    expect(markdownTable([['a|b'], ['c']])).toBe('| a\\|b |\n| --- |\n| c |');
  });
});
