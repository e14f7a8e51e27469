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

/** The training loss of every run by its tokens. */
function lossChart(runs: readonly ReportedRun[]): Html {
  return lineChart({
    title: 'Training loss by tokens',
    x: { label: 'training tokens', from: 0 },
    y: { label: 'loss, nats' },
    series: runs.map(({ label, metrics }) => ({ label, points: metrics.map(({ tokens, loss }) => [tokens, loss]) })),
  });
}

/** Loss per match length, one column per run that was evaluated with matches. */
function lengthTable(runs: readonly ReportedRun[]): Html | undefined {
  const grouped = runs.flatMap(({ label, evaluation }) =>
    evaluation !== undefined && Object.keys(evaluation.byLength).length > 1 ? [{ label, evaluation }] : [],
  );
  if (grouped.length === 0) return undefined;
  const [{ evaluation: first }] = grouped;
  const rows = Object.entries(first.byLength).map(([length, { count }]) => [
    length === '1' ? 'none' : length,
    `${((100 * count) / first.tokens).toFixed(1)}%`,
    ...grouped.map(({ evaluation }) => {
      const group = evaluation.byLength[length];
      return group === undefined ? '' : (group.loss / group.count).toFixed(3);
    }),
  ]);
  return html`<h2>Loss by length of the longest f-gram</h2>
${table({ caption: 'Held-out loss in nats', head: ['length', 'positions', ...grouped.map(({ label }) => label)], rows })}
<p>Hit rate: ${(100 * hitRateOf(first)).toFixed(1)}% of held-out positions.</p>`;
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
    html`<h2>Training loss</h2><figure>${lossChart(runs)}</figure>`,
    lengthTable(runs),
    html`<h2>Samples</h2>${runs.map(sampleOf)}<p class="note">Marked: the last token of a matched f-gram; the darker, the longer.</p>`,
  ]);
}
