/** Charts as SVG text: lines and bars on linear or logarithmic axes. Colours come from the page's style; the data stands in a table beside them. */
import { type Html, html } from './html.js';

export interface Axis {
  readonly label: string;
  readonly scale?: 'linear' | 'log';
  /** Where the axis begins; by default at the least value. */
  readonly from?: number;
  readonly format?: (value: number) => string;
}

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChart {
  /** What is said of it where it cannot be seen. */
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface BarChart {
  readonly title: string;
  readonly x: string;
  readonly y: Axis;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

const [WIDTH, HEIGHT] = [360, 240];
const PLOT = { left: 48, right: 352, top: 22, bottom: 204 };
const COLOURS = 7;
/** Lines differ by more than colour. */
const DASHES = ['', '6 2', '2 2', '8 2 2 2', '1 3', '10 4', '4 4 1 4'];

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const plain = (value: number) => compact.format(value);

interface Scale {
  /** Pixels of a value. */
  (value: number): string;
  readonly ticks: readonly number[];
}

/** 1, 2 or 5 times a power of ten apart, about `count` of them. */
function linearTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.99)!;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten, no more than `count`; where there are fewer than two, their doubles and fives too. */
function logTicks(low: number, high: number, count: number): number[] {
  const from = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - from + 1 }, (_, i) => 10 ** (from + i));
  const inside = (values: readonly number[]) => values.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
  const tens = inside(powers);
  if (tens.length < 2) return inside(powers.flatMap((power) => [power, 2 * power, 5 * power]));
  const every = Math.ceil(tens.length / count);
  return tens.filter((_, i) => i % every === 0);
}

function scaleOf({ scale: kind = 'linear', from }: Axis, values: readonly number[], [start, end]: readonly [number, number]): Scale {
  let low = from ?? values.reduce((least, value) => Math.min(least, value), Infinity);
  let high = values.reduce((most, value) => Math.max(most, value), low);
  // So close that rounding would decide where they are drawn: as if they were equal.
  if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high)))
    [low, high] = kind === 'log' ? [low / 2, high * 2] : from === undefined ? [low - 1, high + 1] : [low, low + 1];
  const at = kind === 'log' ? Math.log10 : (value: number) => value;
  const pixels = (value: number) => (start + ((at(value) - at(low)) / (at(high) - at(low))) * (end - start)).toFixed(1);
  return Object.assign(pixels, { ticks: kind === 'log' ? logTicks(low, high, 7) : linearTicks(low, high, 5) });
}

/** Ticks and labels around what is drawn. */
function framed({ y, yLabel, xLabel, format }: { y: Scale; yLabel: string; xLabel: string; format: Axis['format'] }, inner: Html[]): Html {
  const rows = y.ticks.map(
    (tick) =>
      html`<path class="grid" d="M${PLOT.left} ${y(tick)}H${PLOT.right}"/><text x="${PLOT.left - 6}" y="${y(tick)}" dy="4" text-anchor="end">${(format ?? plain)(tick)}</text>`,
  );
  return html`${rows}<text x="${PLOT.left}" y="12">${yLabel}</text><text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 4}" text-anchor="middle">${xLabel}</text>${inner}`;
}

const drawing = (title: string, content: Html) =>
  html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">${content}</svg>`;

/** What the classes of our pages say, for an image that stands alone. */
const IMAGE_STYLE =
  'text{font:11px system-ui,sans-serif;fill:#57534e}.grid{stroke:#d6d3d1}.line{fill:none;stroke-width:1.75;stroke-linejoin:round}' +
  ['#1d4ed8', '#c2410c', '#15803d', '#a21caf', '#0e7490', '#854d0e', '#57534e'].map((colour, i) => `.s${i}{stroke:${colour}}`).join('');
const KEY_HEIGHT = 16;

/** A line chart as an SVG file. */
export function chartImage(chart: LineChart): string {
  const { series } = chart;
  const keys = series.length < 2 ? [] : series;
  const marks = keys.map(({ label }, i) => {
    const y = HEIGHT + i * KEY_HEIGHT + 8;
    return html`<path class="line s${i % COLOURS}" stroke-dasharray="${DASHES[i % DASHES.length]}" d="M${PLOT.left} ${y}h28"/><text x="${PLOT.left + 36}" y="${y + 4}">${label}</text>`;
  });
  const height = HEIGHT + keys.length * KEY_HEIGHT;
  const content = drawLines(chart)?.content ?? html`<text x="${PLOT.left}" y="${PLOT.top}">There is nothing to plot.</text>`;
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH * 1.5}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${chart.title}"><style>${IMAGE_STYLE}</style><rect width="${WIDTH}" height="${height}" fill="#fff"/>${content}${marks}</svg>\n`
    .source;
}

/** Lines, with a key where there is more than one. */
export function lineChart(chart: LineChart): Html {
  const drawn = drawLines(chart);
  if (drawn === undefined) return html`<p class="note">There is nothing to plot.</p>`;
  return html`${drawing(chart.title, drawn.content)}${chart.series.length > 1 ? html`<ul class="keys">${drawn.keys}</ul>` : ''}`;
}

function drawLines({ x, y, series }: LineChart): { readonly content: Html; readonly keys: readonly Html[] } | undefined {
  const points = series.flatMap((line) => line.points);
  if (points.length === 0) return undefined;
  const toX = scaleOf(
    x,
    points.map(([value]) => value),
    [PLOT.left, PLOT.right],
  );
  const toY = scaleOf(
    y,
    points.map(([, value]) => value),
    [PLOT.bottom, PLOT.top],
  );
  const marks = toX.ticks.map(
    (tick) =>
      html`<path class="grid" d="M${toX(tick)} ${PLOT.bottom}v4"/><text x="${toX(tick)}" y="${PLOT.bottom + 17}" text-anchor="middle">${(x.format ?? plain)(tick)}</text>`,
  );
  const lines = series.map(
    (line, i) =>
      html`<polyline class="line s${i % COLOURS}" stroke-dasharray="${DASHES[i % DASHES.length]}" points="${line.points.map(([px, py]) => `${toX(px)},${toY(py)}`).join(' ')}"/>`,
  );
  const keys = series.map(
    ({ label }, i) =>
      html`<li><svg viewBox="0 0 28 10" aria-hidden="true"><path class="line s${i % COLOURS}" stroke-dasharray="${DASHES[i % DASHES.length]}" d="M0 5H28"/></svg>${label}</li>`,
  );
  return { content: framed({ y: toY, yLabel: y.label, xLabel: x.label, format: y.format }, [...marks, ...lines]), keys };
}

/** Bars from zero, each with its value above. */
export function barChart({ title, x, y, bars }: BarChart): Html {
  if (bars.length === 0) return html`<p class="note">There is nothing to plot.</p>`;
  // Room for the values above.
  const toY = scaleOf(
    { ...y, from: 0 },
    bars.map(({ value }) => value * 1.08),
    [PLOT.bottom, PLOT.top],
  );
  const step = (PLOT.right - PLOT.left) / bars.length;
  const width = Math.min(40, step * 0.7);
  const inner = bars.map(({ label, value }, i) => {
    const middle = (PLOT.left + (i + 0.5) * step).toFixed(1);
    const top = toY(value);
    return html`<rect class="bar s0" x="${(Number(middle) - width / 2).toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${(PLOT.bottom - Number(top)).toFixed(1)}"/><text x="${middle}" y="${top}" dy="-4" text-anchor="middle">${(y.format ?? plain)(value)}</text><text x="${middle}" y="${PLOT.bottom + 17}" text-anchor="middle">${label}</text>`;
  });
  return drawing(title, framed({ y: toY, yLabel: y.label, xLabel: x, format: y.format }, inner));
}
