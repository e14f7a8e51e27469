/** Interleaved measurement: every engine in a process of its own, one round after the other, medians at the end. */
import { EngineProcess } from './engine-process.mjs';

/** @typedef {import('./report.mjs').Measurement} Measurement */
/**
 * @typedef {object} Suite
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

/**
 * @param {Suite} suite engines in order: the first whose result there is says what is expected
 * @param {(line: string) => void} say
 * @returns {Promise<{ described: Map<string, string>, measurements: Measurement[] }>} what each engine says of itself, and what was measured
 */
export async function compareEngines({ engines, cases, rounds }, say) {
  /** @type {EngineProcess[]} */
  const opened = [];
  /** @type {Map<string, string>} */
  const missing = new Map();
  /** @type {Map<string, string>} */
  const described = new Map();
  for (const { name, command } of engines) {
    const engine = new EngineProcess(name, command);
    const { ready, error } = await engine.answer();
    if (error === undefined) {
      opened.push(engine);
      described.set(name, ready);
    } else missing.set(name, error);
    say(`${name}: ${ready ?? `not here: ${error}`}`);
  }
  /** @type {Measurement[]} */
  const measurements = [];
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
    for (const { name } of engines) {
      const { times = [], note = missing.get(name), disagrees, facts } = results.get(name) ?? {};
      const own = times.length === 0 ? null : median(times);
      measurements.push({
        case: spec.name,
        engine: name,
        median: own,
        unit: 'ms',
        ...(disagrees ? { disagrees } : {}),
        ...(note === undefined ? {} : { note }),
        ...(facts === undefined ? {} : { facts }),
      });
      const told = own === null ? `- ${note}` : `${own.toFixed(3)} ms${disagrees ? `  DISAGREES: ${note}` : ''}`;
      say(`  ${spec.name.padEnd(22)} ${name.padEnd(18)} ${told}`);
    }
  }
  for (const engine of opened) engine.close();
  return { described, measurements };
}
