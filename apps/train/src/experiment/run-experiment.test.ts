/** A tiny grid, the whole way: trained, evaluated, its rows stored in every form; done once. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Progress } from '@sconelm/cli-kit';
import { openDevice } from '@sconelm/tensor-webgpu';
import { expect, it } from 'vitest';
import { EXPERIMENTS } from './experiments.js';
import type { Experiment, GridRun } from './grid.js';
import { readResults, runExperiment } from './run-experiment.js';

it('a grid is run once; what is told of it agrees with itself', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'sconelm-grid-'));
  const words = ['the', 'people', 'of', 'these', 'states', 'and', 'their', 'union', 'shall', 'not', 'be', 'a'];
  const text = (seed: number, count: number) =>
    Array.from({ length: count }, (_, i) => words[Math.floor(Math.abs(Math.sin(seed + i * i)) * words.length)]).join(' ');
  const lines = (count: number, from: number) =>
    gzipSync(Array.from({ length: count }, (_, i) => JSON.stringify({ text: text(from + i, 300) })).join('\n'));
  await writeFile(path.join(folder, 'sotu-train.jsonl.gz'), lines(30, 0));
  await writeFile(path.join(folder, 'sotu-heldout.jsonl.gz'), lines(4, 100));
  const other = path.join(folder, 'other.txt');
  await writeFile(other, `${text(7, 600)} ${'another domain has another phrase '.repeat(40)}`);
  const run = (id: string, corpus: GridRun['corpus'], options: GridRun['options']): GridRun => ({
    ...{ id, corpus, fgrams: { maxLength: 3, maxFgrams: 50 } },
    options: { tokens: 640, batch: 2, contextLength: 32, width: 16, evaluateEvery: 5, ...options },
  });
  const plainRun = run('plain', 'whole', { plain: true });
  const frozen = { ...run('frozen', 'whole', { freezeMain: true }), from: plainRun };
  const grid: Experiment = { ...EXPERIMENTS[0], runs: [plainRun, run('rows', 'tenth', { rows: 'residual' })] };
  const notes: string[] = [];
  using progress = new Progress({ write: (line) => notes.push(line), terminal: false });
  const directory = path.join(folder, 'grid');
  const options = { corpus: folder, directory, otherText: other, progress, signal: new AbortController().signal };
  using device = await openDevice();
  const rowsOnly: Experiment = { ...grid, runs: [grid.runs[1]], extra: 'byDtype' };
  await runExperiment(device, grid, options);
  for (const extra of ['pack', 'forest'] as const) await runExperiment(device, { ...grid, runs: [frozen], extra }, options);
  await runExperiment(device, { ...grid, runs: [plainRun], extra: 'pack' }, options);
  await runExperiment(device, rowsOnly, options);
  const before = await readFile(path.join(directory, 'results.jsonl'), 'utf8');
  const results = await readResults(directory);
  const [plain, rows, retrofit] = ['plain', 'rows', 'frozen'].map((id) => results.get(id)!);
  expect(plain.curve.length).toBe(2);
  expect(plain.nodesPerToken).toBe(0);
  expect(rows.trainedParameters).toBeGreaterThan(plain.trainedParameters + 50 * 16);
  for (const { inDomain, byCount, byLength, outOfDomain } of [plain, rows]) {
    for (const groups of [byCount, byLength]) {
      expect(Object.values(groups).reduce((sum, { count }) => sum + count, 0)).toBe(inDomain.count);
      expect(Object.values(groups).reduce((sum, { loss }) => sum + loss, 0) / inDomain.loss).toBeCloseTo(1, 5);
    }
    expect(outOfDomain?.count).toBeGreaterThan(0);
  }
  expect(Math.abs(rows.byDtype!.f32.loss - rows.inDomain.loss / rows.inDomain.count)).toBeLessThan(1e-4);
  expect(rows.byDtype!.int4.rowBytes).toBeLessThan(rows.byDtype!.f32.rowBytes / 3);
  expect(plain.pack).toMatchObject({ added: 0, own: { inDomain: plain.inDomain } });
  const { own, extended, added } = retrofit.pack!;
  expect(added).toBeGreaterThan(0);
  expect(extended!.outOfDomain.hitRate).toBeGreaterThan(own.outOfDomain.hitRate);
  // Rows of a store are those of the model.
  expect(own.inDomain.loss / retrofit.inDomain.loss).toBeCloseTo(1, 5);
  const { forest, alone, padded } = retrofit.forest!;
  expect(forest.nodesPerToken).toBeCloseTo(retrofit.nodesPerToken, 1);
  expect(alone.nodesPerToken).toBeGreaterThan(forest.nodesPerToken);
  expect(padded.flopsPerToken).toBeGreaterThan(alone.flopsPerToken);
  await runExperiment(device, rowsOnly, options);
  expect(notes.at(-1)).toMatch(/rows \(1 of 1\): done/);
  expect(await readFile(path.join(directory, 'results.jsonl'), 'utf8')).toBe(before);
  await rm(folder, { recursive: true });
});
