/** Results as Markdown with plots: each experiment's part of the document lies between two marks, and what is written around them stays. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes } from '@sconelm/artifact';
import { chartImage } from '../page/chart.js';
import type { Experiment, RunResult } from './grid.js';

const markOf = (name: string) => [`<!-- experiment ${name} -->`, `<!-- end of ${name} -->`] as const;

/** @param file the document; plots go into a folder of its name beside it */
export async function writeFindings(file: string, experiment: Experiment, results: ReadonlyMap<string, RunResult>): Promise<void> {
  const { name, runs } = experiment;
  const { table, plots: all } = experiment.findings((id) => results.get(id));
  // A single point is no plot.
  const plots = all.filter(({ series }) => series.some(({ points }) => points.length > 1));
  const folder = file.replace(/\.md$/, '');
  for (const { name: plot, title, x, y, series } of plots)
    await publishBytes(path.join(folder, `${plot}.svg`), chartImage({ title, x, y: { label: y }, series }));
  const done = runs.flatMap(({ id }) => results.get(id) ?? []);
  const images = plots.map(({ name: plot, title }) => `![${title}](${path.basename(folder)}/${plot}.svg)`).join(' ');
  const body = [
    `## ${experiment.title}`,
    `${experiment.question}`,
    `\`scone-train experiment ${name}\`: ${done.length} of ${runs.length} runs${whenAndWhere(done)}.`,
    markdownTable(table),
    ...(images === '' ? [] : [images]),
  ].join('\n\n');
  await publishBytes(file, placed(existsSync(file) ? await readFile(file, 'utf8') : '# Results\n', name, body));
}

function whenAndWhere(done: readonly RunResult[]): string {
  if (done.length === 0) return '';
  const listed = (of: (result: RunResult) => string | number) => [...new Set(done.map(of))].sort().join(', ');
  return `; seeds ${listed(({ seed }) => seed)}; ${listed(({ trainingTokens }) => trainingTokens.toLocaleString('en'))} training and ${listed(({ inDomain }) => inDomain.count.toLocaleString('en'))} held-out tokens; ${listed(({ adapter }) => adapter)}; ${listed(({ date }) => date)}`;
}

export function markdownTable(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [head, ...body] = rows;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...body.map(line)].join('\n');
}

/** The text with `body` between the marks of `name`, which are put at the end where they are not there. */
export function placed(text: string, name: string, body: string): string {
  const [start, end] = markOf(name);
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  const part = `${start}\n\n${body}\n\n${end}`;
  return from < 0 || to < from ? `${text.trimEnd()}\n\n${part}\n` : text.slice(0, from) + part + text.slice(to + end.length);
}
