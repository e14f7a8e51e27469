/** Rows by id, warm and from the disk: our backends against key-value stores and plain reads, interleaved; every row is checked to be the one asked for. */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { BATCHES, distribution, FORMS, uniform } from './data.mjs';
import { ENGINES, empty, folderOf, OWN, sizeOf } from './engines.mjs';
import * as valkey from './valkey.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {import('./engines.mjs').Engine} Engine */
/** @typedef {import('./engines.mjs').Form} Form */
/** @typedef {{ name: string, kind: 'read' | 'write' | 'size', state?: 'warm' | 'cold', ids?: 'zipf' | 'uniform' | 'hot', batch?: number, form: Form }} Case */

/** @type {Case[]} */
const CASES = FORMS.flatMap((form) => {
  const suffix = `row${form.rowBytes}`;
  const reads = ['warm', 'cold'].flatMap((state) =>
    ['zipf', 'uniform'].flatMap((ids) =>
      BATCHES.map((batch) => ({ name: `read-${state}-${ids}-${batch}-${suffix}`, kind: 'read', state, ids, batch, form })),
    ),
  );
  const hot = { name: `read-warm-hot-4096-${suffix}`, kind: 'read', state: 'warm', ids: 'hot', batch: 4096, form };
  return /** @type {Case[]} */ ([
    { name: `write-${suffix}`, kind: 'write', form },
    { name: `size-${suffix}`, kind: 'size', form },
    ...reads,
    hot,
  ]);
});

const SCRATCH = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'sconelm/bench/store');
/** Of one round of one engine. */
const ROUND_MS = 100;
const MAX_COLD_ROWS = 16_384;

const median = (/** @type {number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** Empties the page cache. @returns {string | undefined} why it could not */
function dropPageCache() {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return undefined;
  } catch (error) {
    return `the page cache cannot be emptied here: ${/** @type {Error} */ (error).message}`;
  }
}

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: [...OWN, ...valkey.OWN],
  engines: [...ENGINES.map(({ name }) => name), ...valkey.OWN, ...valkey.PEERS],
  cases: [...CASES.map(({ name }) => name), ...valkey.CASES],
  async measure({ engines, cases, rounds, say }) {
    /** @type {Measurement[]} */
    const measurements = await valkey.measureValkey({ engines, cases, rounds, say });
    const chosen = ENGINES.filter(({ name }) => engines.includes(name));
    for (const form of FORMS) {
      const own = CASES.filter((one) => one.form === form && cases.includes(one.name));
      if (own.length === 0) continue;
      measurements.push(...(await build(chosen, form, own, say)));
      for (const state of /** @type {const} */ (['warm', 'cold'])) {
        const reads = own.filter((one) => one.state === state);
        if (reads.length > 0)
          measurements.push(...(await (state === 'warm' ? measureWarm : measureCold)(chosen, form, reads, rounds, say)));
      }
      for (const engine of chosen) empty(folderOf(SCRATCH, engine, form));
    }
    return { measurements };
  },
};

/** Builds every engine's store, timed. @param {readonly Engine[]} engines @param {Form} form @param {readonly Case[]} cases @param {(line: string) => void} say */
async function build(engines, form, cases, say) {
  /** @type {Measurement[]} */
  const measurements = [];
  const megabytes = (form.rows * form.rowBytes) / 1e6;
  for (const engine of engines) {
    const folder = folderOf(SCRATCH, engine, form);
    if (
      engine.inMemory ||
      (engine.folder !== undefined && engine.name !== engine.folder && engines.some(({ name }) => name === engine.folder))
    )
      continue;
    empty(folder);
    const started = performance.now();
    await engine.build(folder, form);
    const seconds = (performance.now() - started) / 1000;
    const share = sizeOf(engine.files(folder)) / (form.rows * form.rowBytes);
    say(`  ${engine.name.padEnd(14)} rows of ${form.rowBytes}: written in ${seconds.toFixed(1)} s, ${share.toFixed(4)} of the raw rows`);
    for (const { name, kind } of cases) {
      if (kind === 'write') measurements.push({ case: name, engine: engine.name, median: megabytes / seconds, unit: 'MB/s' });
      if (kind === 'size') measurements.push({ case: name, engine: engine.name, median: share, unit: 'of the raw rows' });
    }
  }
  return measurements;
}

/** Batches of ids, all of them drawn before anything is timed. @param {Case} one @param {number} batches @param {number} seed */
function draw({ ids = 'uniform', batch = 1, form }, batches, seed) {
  const next = distribution(ids, form.rows, uniform(seed));
  return Array.from({ length: batches }, () => Uint32Array.from({ length: batch }, next));
}

/** @param {import('./engines.mjs').Opened} store @param {readonly Uint32Array[]} batches @param {Float32Array} into @param {number} width @returns {Promise<{ ms: number, isRight: boolean }>} */
async function time(store, batches, into, width) {
  const started = performance.now();
  for (const ids of batches) {
    const answer = store.read(ids, into);
    if (answer !== undefined) await answer;
  }
  const ms = performance.now() - started;
  const last = /** @type {Uint32Array} */ (batches.at(-1));
  return { ms, isRight: last.every((id, i) => into[i * width] === id) };
}

/** @param {readonly Engine[]} engines @param {Form} form @param {readonly Case[]} cases @param {number} rounds @param {(line: string) => void} say */
async function measureWarm(engines, form, cases, rounds, say) {
  const width = form.rowBytes / 4;
  const into = new Float32Array(4096 * width);
  const opened = [];
  for (const engine of engines) {
    const store = await engine.open(folderOf(SCRATCH, engine, form), form);
    for (let first = 0; first < form.rows; first += 4096)
      await store.read(
        Uint32Array.from({ length: Math.min(4096, form.rows - first) }, (_, i) => first + i),
        into,
      );
    opened.push({ engine, store });
  }
  /** @type {Measurement[]} */
  const measurements = [];
  for (const one of cases) {
    const { batch = 1 } = one;
    const results = opened.map(({ engine, store }) => ({ engine, store, batches: 0, us: /** @type {number[]} */ ([]), isRight: true }));
    for (const result of results) {
      const trial = draw(one, Math.max(3, Math.ceil(2000 / batch)), 1);
      const { ms } = await time(result.store, trial, into, width);
      result.batches = Math.max(1, Math.min(50_000, Math.round((trial.length * ROUND_MS) / ms)));
    }
    for (let round = 0; round < rounds; round++) {
      for (const result of results) {
        const { ms, isRight } = await time(result.store, draw(one, result.batches, round + 2), into, width);
        result.us.push((ms * 1000) / (result.batches * batch));
        result.isRight &&= isRight;
      }
    }
    measurements.push(...results.map(({ engine, us, isRight }) => row(one, engine, median(us), isRight, say)));
  }
  for (const { store } of opened) await store.close();
  return measurements;
}

/** @param {readonly Engine[]} engines @param {Form} form @param {readonly Case[]} cases @param {number} rounds @param {(line: string) => void} say */
async function measureCold(engines, form, cases, rounds, say) {
  const width = form.rowBytes / 4;
  const into = new Float32Array(4096 * width);
  /** @type {Measurement[]} */
  const measurements = [];
  for (const one of cases) {
    const { batch = 1 } = one;
    const onDisk = engines.filter(({ inMemory }) => inMemory !== true);
    const results = onDisk.map((engine) => ({ engine, us: /** @type {number[]} */ ([]), isRight: true }));
    /** @type {string | undefined} */
    let reason;
    for (let round = 0; round < Math.min(rounds, 5) && reason === undefined; round++) {
      for (const result of results) {
        reason = dropPageCache();
        if (reason !== undefined) break;
        // Opened anew: pages that are mapped stay.
        const store = await result.engine.open(folderOf(SCRATCH, result.engine, form), form);
        const batches = Math.max(2, Math.min(400, Math.floor(MAX_COLD_ROWS / batch)));
        const { ms, isRight } = await time(store, draw(one, batches, round + 2), into, width);
        result.us.push((ms * 1000) / (batches * batch));
        result.isRight &&= isRight;
        await store.close();
      }
    }
    for (const { engine, us, isRight } of results) {
      if (reason === undefined) measurements.push(row(one, engine, median(us), isRight, say));
      else measurements.push({ case: one.name, engine: engine.name, median: null, unit: 'us/row', note: reason });
    }
  }
  return measurements;
}

/** @param {Case} one @param {Engine} engine @param {number} us @param {boolean} isRight @param {(line: string) => void} say @returns {Measurement} */
function row({ name }, engine, us, isRight, say) {
  say(`  ${name.padEnd(32)} ${engine.name.padEnd(14)} ${us.toFixed(3)} us a row${isRight ? '' : '  WRONG ROWS'}`);
  return {
    case: name,
    engine: engine.name,
    median: us,
    unit: 'us/row',
    ...(isRight ? {} : { disagrees: true, note: 'it gave other rows than were asked for' }),
  };
}
