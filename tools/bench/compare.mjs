/** Interleaved measurement: every engine in a process of its own, one round after the other, medians at the end. */
import { EngineProcess } from './engine-process.mjs';

/**
 * @typedef {object} Row
 * @property {string} case
 * @property {string} engine
 * @property {number | null} median ms of one run; null where there is none
 * @property {'ms'} unit
 * @property {string} peer the engine of reference
 * @property {number | null} ratio this engine's median as a multiple of the reference's: above 1 it is slower
 * @property {boolean} [disagrees] its result is not the reference's
 * @property {string} [note]
 * @property {Record<string, unknown>} [facts]
 */
/**
 * @typedef {object} Suite
 * @property {string} reference the engine of this repository
 * @property {readonly { name: string, command: readonly string[] }[]} engines
 * @property {readonly ({ name: string, tolerance?: number } & Record<string, unknown>)[]} cases
 * @property {number} rounds
 */

const median = (/** @type {number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];
/** A round lasts about this long, so that short cases are not lost in the noise. */
const ROUND_MS = 150;
/** A slower engine than this is not run in every round. */
const SLOW_MS = 2000;

const agree = (/** @type {number[]} */ a, /** @type {number[]} */ b, /** @type {number} */ tolerance) =>
  a.length === b.length && a.every((x, i) => Math.abs(x - b[i]) <= tolerance * Math.max(1e-3, Math.abs(a[i]), Math.abs(b[i])));

const format = (/** @type {number[]} */ xs) => xs.map((x) => x.toPrecision(5)).join(' ');

/** @param {Suite} suite @param {(line: string) => void} say @returns {Promise<Row[]>} */
export async function compareEngines({ reference, engines, cases, rounds }, say) {
  /** @type {EngineProcess[]} */
  const opened = [];
  /** @type {Map<string, string>} */
  const missing = new Map();
  for (const { name, command } of engines) {
    const engine = new EngineProcess(name, command);
    const { ready, error } = await engine.answer();
    if (error === undefined) opened.push(engine);
    else missing.set(name, error);
    say(`${name}: ${ready ?? `not here: ${error}`}`);
  }
  /** @type {Row[]} */
  const rows = [];
  for (const spec of cases) {
    /** @type {Map<string, { times: number[], note?: string, disagrees?: boolean, facts?: Record<string, unknown> }>} */
    const results = new Map();
    const ready = [];
    /** @type {number[] | undefined} */
    let expected;
    for (const engine of opened) {
      const { check, error, unsupported, facts, coldMs } = await engine.ask({ prepare: spec });
      if (check === undefined) {
        results.set(engine.name, { times: [], note: unsupported ?? error });
        continue;
      }
      expected ??= check;
      const wanted = /** @type {number[]} */ (expected);
      const disagrees = !agree(wanted, check, spec.tolerance ?? 2e-3);
      results.set(engine.name, {
        times: [],
        facts: { ...facts, coldMs: Math.round(coldMs) },
        ...(disagrees ? { disagrees, note: `gives ${format(check)}, not ${format(wanted)}` } : {}),
      });
      const { ms, error: failed } = await engine.ask({ run: 1 });
      if (ms === undefined) results.set(engine.name, { times: [], note: failed });
      else ready.push({ engine, ms, times: Math.max(1, Math.min(200, Math.round(ROUND_MS / ms))) });
    }
    for (let round = 0; round < rounds; round++) {
      for (const one of ready) {
        if (one.ms > SLOW_MS && round >= 2) continue;
        const { ms, error } = await one.engine.ask({ run: one.times });
        const result = results.get(one.engine.name);
        if (result === undefined) continue;
        if (ms === undefined) result.note = error;
        else result.times.push(ms);
      }
    }
    const base = results.get(reference);
    const baseMedian = base === undefined || base.times.length === 0 ? null : median(base.times);
    for (const { name } of engines) {
      const { times = [], note = missing.get(name), disagrees, facts } = results.get(name) ?? {};
      const own = times.length === 0 ? null : median(times);
      const ratio = own === null || baseMedian === null ? null : own / baseMedian;
      rows.push({
        case: spec.name,
        engine: name,
        median: own,
        unit: 'ms',
        peer: reference,
        ratio,
        ...(disagrees ? { disagrees } : {}),
        ...(note === undefined ? {} : { note }),
        ...(facts === undefined ? {} : { facts }),
      });
      say(
        `  ${spec.name.padEnd(22)} ${name.padEnd(18)} ${own === null ? `- ${note}` : `${own.toFixed(3)} ms  ${ratio?.toFixed(2)}${disagrees ? `  DISAGREES: ${note}` : ''}`}`,
      );
    }
  }
  for (const engine of opened) engine.close();
  return rows;
}

/** @param {readonly Row[]} rows */
export function formatRows(rows) {
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  const cases = [...new Set(rows.map((row) => row.case))];
  const cell = (/** @type {string} */ name, /** @type {string} */ engine) => {
    const row = rows.find((one) => one.case === name && one.engine === engine);
    if (row === undefined || row.median === null) return '-';
    const ms = row.median < 10 ? row.median.toFixed(2) : row.median.toFixed(0);
    return `${ms}${engine === row.peer || row.ratio === null ? '' : ` (${row.ratio.toFixed(1)}×)`}${row.disagrees ? ' !' : ''}`;
  };
  const table = [['ms', ...engines], ...cases.map((name) => [name, ...engines.map((engine) => cell(name, engine))])];
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  const lines = table.map((line) =>
    line.map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]))).join('  '),
  );
  const notes = [
    ...new Set(
      rows.filter(({ note }) => note !== undefined).map((row) => `${row.disagrees ? '! ' : ''}${row.case}, ${row.engine}: ${row.note}`),
    ),
  ];
  return `${lines.join('\n')}\n${notes.length === 0 ? '' : `\n${notes.join('\n')}\n`}`;
}
