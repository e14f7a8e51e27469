/** The page of one or more runs: self-contained, no network. */
import { lineChart } from '../page/chart.js';
import { type Html, html, page, table } from '../page/html.js';
import type { Metrics } from './metrics.js';
import { hitRateOf, type RunEvaluation } from './summary.js';

export interface ReportedRun {
  readonly label: string;
  readonly metrics: readonly Metrics[];
  /** Absent where the run was not evaluated. */
  readonly evaluation?: RunEvaluation;
}

export interface Report {
  readonly title: string;
  /** What is to be said first; text. */
  readonly lead: readonly string[];
  readonly runs: readonly ReportedRun[];
}

function format(value: number, digits = 0): string {
  return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** One column per evaluated run, for the page and the terminal. */
export function tableRows(runs: readonly ReportedRun[]): string[][] {
  const evaluated = runs.flatMap(({ label, evaluation }) => (evaluation === undefined ? [] : [{ label, evaluation }]));
  const row = (name: string, value: (evaluation: RunEvaluation) => string) => [
    name,
    ...evaluated.map(({ evaluation }) => value(evaluation)),
  ];
  const ofStore = (name: string, value: (store: NonNullable<RunEvaluation['store']>) => string) =>
    evaluated.some(({ evaluation }) => evaluation.store !== undefined)
      ? [row(name, ({ store }) => (store === undefined ? '' : value(store)))]
      : [];
  return [
    ['', ...evaluated.map(({ label }) => label)],
    row('parameters on the accelerator', (m) => format(m.acceleratorParams)),
    row('inference FLOPs per token', (m) => format(m.flopsPerToken)),
    row('training tokens', (m) => format(m.trainingTokens)),
    row('training FLOPs', (m) => m.trainingFlops.toExponential(2)),
    row('held-out loss (nats)', (m) => m.loss.toFixed(3)),
    row('held-out perplexity', (m) => m.perplexity.toFixed(1)),
    row('bits per byte', (m) => m.bitsPerByte.toFixed(3)),
    row('decode ms per token', (m) => m.msPerToken.toFixed(2)),
    ...ofStore('store rows', ({ rows }) => format(rows)),
    ...ofStore('store bytes', ({ rows, rowBytes }) => format(rows * rowBytes)),
    ...ofStore('store bytes per row', ({ rowBytes, dtype }) => `${rowBytes} (${dtype})`),
  ];
}

/** What is drawn of every run by its training tokens, where its metrics have it. */
const CURVES = [
  { title: 'Training loss', unit: 'nats per token', of: ({ loss }: Metrics) => loss },
  { title: 'Held-out loss on the way', unit: 'nats per token', of: ({ heldoutLoss }: Metrics) => heldoutLoss },
  { title: 'Norm of gradients', unit: 'before clipping', of: ({ gradientNorm }: Metrics) => finite(gradientNorm) },
  { title: 'Learning rate', unit: 'of the step', of: ({ rate }: Metrics) => rate },
] as const;

/** Of a step that was left out the norm is no number, and old metrics lack it. */
const finite = (value: number | undefined) => (value !== undefined && Number.isFinite(value) ? value : undefined);

function curves(runs: readonly ReportedRun[]): Html[] {
  return CURVES.flatMap(({ title, unit, of }) => {
    const series = runs.flatMap(({ label, metrics }) => {
      const points = metrics.flatMap((entry): [number, number][] => {
        const value = of(entry);
        return value === undefined ? [] : [[entry.tokens, value]];
      });
      return points.length === 0 ? [] : [{ label, points }];
    });
    if (series.length === 0) return [];
    const chart = lineChart({ title: `${title} by tokens`, x: { label: 'training tokens', from: 0 }, y: { label: unit }, series });
    return [html`<figure><h3>${title}</h3>${chart}</figure>`];
  });
}

/** Held-out loss by groups of positions, one column per run that has them. */
function groupTable(
  runs: readonly ReportedRun[],
  caption: string,
  groupsOf: (evaluation: RunEvaluation) => RunEvaluation['byLength'] | undefined,
): Html | undefined {
  const grouped = runs.flatMap(({ label, evaluation }) => {
    const groups = evaluation === undefined ? undefined : groupsOf(evaluation);
    return groups === undefined || Object.keys(groups).length < 2 ? [] : [{ label, groups }];
  });
  if (grouped.length === 0) return undefined;
  const [{ groups: first }] = grouped;
  const positions = Object.values(first).reduce((sum, { count }) => sum + count, 0);
  const rows = Object.entries(first).map(([name, { count }]) => [
    name === '1' ? 'none' : name,
    `${((100 * count) / positions).toFixed(1)}%`,
    ...grouped.map(({ groups: { [name]: group } }) => (group === undefined ? '' : (group.loss / group.count).toFixed(3))),
  ]);
  return table({ caption, head: ['f-gram', 'positions', ...grouped.map(({ label }) => label)], rows });
}

/** Loss by length and by count of the longest f-gram. */
function groupTables(runs: readonly ReportedRun[]): Html | undefined {
  const byLength = groupTable(runs, 'Held-out loss in nats, by length', (evaluation) => evaluation.byLength);
  if (byLength === undefined) return undefined;
  const matched = runs.find(({ evaluation }) => evaluation !== undefined && Object.keys(evaluation.byLength).length > 1)?.evaluation;
  return html`<h2>Loss by the longest f-gram</h2>
${byLength}
${groupTable(runs, 'The same by its count in the training text', (evaluation) => evaluation.byCount)}
${matched === undefined ? '' : html`<p>Hit rate: ${(100 * hitRateOf(matched)).toFixed(1)}% of held-out positions.</p>`}`;
}

function sampleOf({ label, evaluation }: ReportedRun): Html | undefined {
  if (evaluation === undefined) return undefined;
  const text = evaluation.sample.map(({ text: token, length }) =>
    length > 1 ? html`<span class="n${Math.min(length, 4)}" title="f-gram of ${length} tokens">${token}</span>` : token,
  );
  return html`<h3>${label}</h3><p class="sample">${text}</p>`;
}

export function renderReport({ title, lead, runs }: Report): string {
  const [[, ...labels], ...rows] = tableRows(runs);
  return page(title, [
    lead.map((text) => html`<p>${text}</p>`),
    table({ caption: 'What each costs and reaches', head: ['figure', ...labels], rows }),
    html`<h2>Training</h2><div class="plots">${curves(runs)}</div>`,
    groupTables(runs),
    html`<h2>Samples</h2>${runs.map(sampleOf)}<p class="note">Marked: the last token of a matched f-gram; the darker, the longer.</p>`,
  ]);
}
