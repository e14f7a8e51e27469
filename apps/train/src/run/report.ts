/** The page of one or more runs: self-contained, no network. */
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

const COLOURS = ['#777', '#c2410c', '#1d4ed8', '#15803d', '#a21caf', '#0e7490'];

const escapeHtml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

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

function htmlTable([head, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${line(head, 'th')}${rows.map((row) => line(row, 'td')).join('')}</table>`;
}

/** The training loss of every run by its tokens, as SVG. */
export function chart(runs: readonly ReportedRun[]): string {
  const curves = runs.filter(({ metrics }) => metrics.length > 0);
  const all = curves.flatMap(({ metrics }) => metrics);
  if (all.length === 0) return '';
  const right = Math.max(...all.map(({ tokens }) => tokens));
  const low = Math.min(...all.map(({ loss }) => loss));
  const high = Math.max(...all.map(({ loss }) => loss));
  const x = (tokens: number) => (45 + (tokens / right) * 635).toFixed(1);
  const y = (loss: number) => (15 + ((high - loss) / (high - low || 1)) * 250).toFixed(1);
  const colour = (run: ReportedRun) => COLOURS[runs.indexOf(run) % COLOURS.length];
  const lines = curves.map(
    (run) =>
      `<polyline fill="none" stroke="${colour(run)}" stroke-width="1.5" points="${run.metrics.map(({ tokens, loss }) => `${x(tokens)},${y(loss)}`).join(' ')}"/>`,
  );
  const marks = [low, (low + high) / 2, high].map((loss) => `<text x="4" y="${Number(y(loss)) + 4}">${loss.toFixed(2)}</text>`);
  const keys = curves.map((run, i) => `<text x="520" y="${30 + i * 18}" fill="${colour(run)}">${escapeHtml(run.label)}</text>`);
  return `<svg viewBox="0 0 700 295" role="img" aria-label="training loss by tokens"><style>text{font:12px system-ui,sans-serif}</style><rect width="700" height="295" fill="white"/>${lines.join('')}${marks.join('')}${keys.join('')}<text x="45" y="288">0</text><text x="600" y="288">${format(right)} tokens</text></svg>`;
}

/** Loss per match length, one column per run that was evaluated with matches. */
function lengthTable(runs: readonly ReportedRun[]): string {
  const grouped = runs.flatMap(({ label, evaluation }) =>
    evaluation !== undefined && Object.keys(evaluation.byLength).length > 1 ? [{ label, evaluation }] : [],
  );
  if (grouped.length === 0) return '';
  const [{ evaluation: first }] = grouped;
  const rows = Object.entries(first.byLength).map(([length, { count }]) => [
    length === '1' ? 'none' : length,
    `${((100 * count) / first.tokens).toFixed(1)}%`,
    ...grouped.map(({ evaluation }) => {
      const group = evaluation.byLength[length];
      return group === undefined ? '' : (group.loss / group.count).toFixed(3);
    }),
  ]);
  return `<h2>Loss by length of the longest f-gram</h2>${htmlTable([['length', 'positions', ...grouped.map(({ label }) => label)], ...rows])}
<p>Hit rate: ${(100 * hitRateOf(first)).toFixed(1)}% of held-out positions.</p>`;
}

function sampleOf({ label, evaluation }: ReportedRun): string {
  if (evaluation === undefined) return '';
  const text = evaluation.sample
    .map(({ text: token, length }) =>
      length > 1
        ? `<span class="n${Math.min(length, 4)}" title="f-gram of ${length} tokens">${escapeHtml(token)}</span>`
        : escapeHtml(token),
    )
    .join('');
  return `<h3>${escapeHtml(label)}</h3><p class="sample">${text}</p>`;
}

export function renderReport({ title, lead, runs }: Report): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}td:first-child,th:first-child{text-align:left}.sample{white-space:pre-wrap}.n2{background:#fff3e0}.n3{background:#ffddb0}.n4{background:#ffbf70}</style>
<h1>${escapeHtml(title)}</h1>
${lead.map((text) => `<p>${escapeHtml(text)}</p>`).join('\n')}
${htmlTable(tableRows(runs))}
<h2>Training loss</h2>${chart(runs)}
${lengthTable(runs)}
<h2>Samples</h2>${runs.map(sampleOf).join('\n')}
<p>Marked: the last token of a matched f-gram; the darker, the longer.</p>
</html>
`;
}
