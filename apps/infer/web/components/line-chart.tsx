/** Lines on linear or logarithmic axes, as SVG; the values at the pointer, or at the arrow keys' place, stand below it. */
import { useState } from 'preact/hooks';
import { formatCompact } from './format.js';

export interface Series {
  readonly label: string;
  /** By ascending x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface LineChartProps {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  readonly format?: (value: number) => string;
  /** Both axes are logarithmic. */
  readonly log?: boolean;
  /** The upright axis begins at 0. */
  readonly fromZero?: boolean;
}

const [WIDTH, HEIGHT] = [480, 260];
const PLOT = { left: 46, right: 472, top: 12, bottom: 224 };
const COLOURS = 6;
/** Lines differ by more than colour. */
const DASHES = ['', '6 3', '2 2', '9 3 2 3', '1 3', '12 4'];

const dashOf = (i: number) => DASHES[i % DASHES.length];
const colourOf = (i: number) => ({ '--line': `var(--line-${i % COLOURS})` });

export function LineChart({ title, x, y, series, format = formatCompact, log = false, fromZero = false }: LineChartProps) {
  const [at, setAt] = useState<number>();
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) return <p class="note">{title}: nothing yet.</p>;
  const scale = log ? logScale : linearScale;
  const toX = scale(
    all.map(([value]) => value),
    PLOT.left,
    PLOT.right,
  );
  const toY = scale([...all.map(([, value]) => value), ...(fromZero ? [0] : [])], PLOT.bottom, PLOT.top);
  const places = [...new Set(all.map(([value]) => value))].sort((a, b) => a - b);
  const point = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * WIDTH;
    setAt(nearest(places, toX, pixel));
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(places.length - 1, (at ?? (step > 0 ? -1 : places.length)) + step)));
  };
  const place = at === undefined ? undefined : places[at];
  return (
    <figure>
      <h2>{title}</h2>
      <svg
        class="chart"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        tabindex={0}
        aria-label={`${title}: ${y} by ${x}`}
        onPointerMove={point}
        onPointerLeave={() => setAt(undefined)}
        onKeyDown={move}
      >
        {toY.ticks.map((tick) => (
          <g key={tick}>
            <line class="grid" x1={PLOT.left} x2={PLOT.right} y1={toY(tick)} y2={toY(tick)} />
            <text x={PLOT.left - 6} y={toY(tick)} dy="0.35em" text-anchor="end">
              {format(tick)}
            </text>
          </g>
        ))}
        {toX.ticks.map((tick) => (
          <text key={tick} x={toX(tick)} y={PLOT.bottom + 16} text-anchor="middle">
            {formatCompact(tick)}
          </text>
        ))}
        <text x={PLOT.right} y={HEIGHT - 4} text-anchor="end">
          {x}
        </text>
        {place !== undefined && <line class="cursor" x1={toX(place)} x2={toX(place)} y1={PLOT.top} y2={PLOT.bottom} />}
        {series.map(({ label, points }, i) => (
          <polyline
            key={label}
            class="line"
            style={colourOf(i)}
            stroke-dasharray={dashOf(i)}
            points={points.map(([px, py]) => `${toX(px).toFixed(1)},${toY(py).toFixed(1)}`).join(' ')}
          />
        ))}
      </svg>
      <figcaption class="legend keys">
        <span aria-live="polite">{place === undefined ? y : `at ${formatCompact(place)} ${x}`}</span>
        {series.map(({ label, points }, i) => (
          <span key={label}>
            <svg viewBox="0 0 28 8" aria-hidden="true">
              <line
                class="line"
                x1="0"
                x2="28"
                y1="4"
                y2="4"
                style={{ ...colourOf(i), stroke: 'var(--line)', strokeWidth: '2' }}
                stroke-dasharray={dashOf(i)}
              />
            </svg>
            {label} {valueAt(points, place, format)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

/** The last value at or before a place; without one, the last. */
function valueAt(points: Series['points'], place: number | undefined, format: (value: number) => string): string {
  const found = place === undefined ? points.at(-1) : points.findLast(([x]) => x <= place);
  return found === undefined ? '' : format(found[1]);
}

interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

function linearScale(values: readonly number[], start: number, end: number): Scale {
  let [low, high] = extent(values);
  if (high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high))) [low, high] = low === 0 ? [0, 1] : [low - 1, high + 1];
  return Object.assign((value: number) => start + ((value - low) / (high - low)) * (end - start), { ticks: ticksOf(low, high, 5) });
}

/** Of values above 0; ticks are powers of ten. */
function logScale(values: readonly number[], start: number, end: number): Scale {
  const [least, most] = extent(values);
  const [low, high] = least === most ? [least / 2, most * 2] : [least, most];
  const first = Math.ceil(Math.log10(low));
  const ticks = Array.from({ length: Math.max(0, Math.floor(Math.log10(high)) - first + 1) }, (_, i) => 10 ** (first + i));
  return Object.assign((value: number) => start + (Math.log(value / low) / Math.log(high / low)) * (end - start), { ticks });
}

const extent = (values: readonly number[]): [number, number] =>
  values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);

/** 1, 2 or 5 times a power of ten apart, about `count` of them. */
function ticksOf(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.99)!;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function nearest(places: readonly number[], toX: Scale, pixel: number): number {
  let best = 0;
  for (let i = 1; i < places.length; i++) if (Math.abs(toX(places[i]) - pixel) < Math.abs(toX(places[best]) - pixel)) best = i;
  return best;
}
