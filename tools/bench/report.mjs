/** What every area of the bench reports: measurements of engines on cases become rows against our own, as a table or as JSON. */

/**
 * @typedef {object} Measurement one engine on one case
 * @property {string} case
 * @property {string} engine
 * @property {number | null} median null where there is none; `note` says why
 * @property {string} unit of the median: `ms`, `MB`; a rate, where more is better, ends in `/s`
 * @property {boolean} [disagrees] its result is not the one expected; `note` says how
 * @property {string} [note]
 * @property {Record<string, unknown>} [facts] what else is known of it
 */
/**
 * @typedef {object} Row our engine against one peer on one case; without a peer where there is none
 * @property {string} area
 * @property {string} case
 * @property {string} engine ours
 * @property {number | null} median
 * @property {string} unit
 * @property {string} [peer]
 * @property {number | null} [peerMedian]
 * @property {number | null} [ratio] our advantage: above 1 we are better
 * @property {boolean} [disagrees] results differ
 * @property {string} [note]
 * @property {Record<string, unknown>} [facts] of our engine
 * @property {Record<string, unknown>} [peerFacts]
 */
/**
 * @typedef {object} Area what `tools/bench/AREA/suite.mjs` exports as `area`
 * @property {string | readonly string[]} engine ours; an area may compare several
 * @property {readonly string[]} engines all of them
 * @property {readonly string[]} cases
 * @property {(choice: Choice) => Promise<{ adapter?: string | undefined, measurements: readonly Measurement[] }>} measure
 */
/**
 * @typedef {object} Choice what to measure
 * @property {readonly string[]} engines
 * @property {readonly string[]} cases
 * @property {number} rounds
 * @property {string} [tokens] of the corpus where an area has one: `10M`
 * @property {number} [seconds] that a server is under load
 * @property {(line: string) => void} say tells of progress
 */

/** How many times as good `ours` is. @param {number} ours @param {number} theirs @param {string} unit */
export const advantage = (ours, theirs, unit) => (unit.endsWith('/s') ? ours / theirs : theirs / ours);

/** One row per case, engine of ours and peer. @param {string} area @param {readonly string[]} engines ours @param {readonly Measurement[]} measurements @returns {Row[]} */
export function rowsOf(area, engines, measurements) {
  return engines.flatMap((engine) =>
    rowsOfEngine(
      area,
      engine,
      measurements.filter((one) => one.engine === engine || !engines.includes(one.engine)),
    ),
  );
}

/** @param {string} area @param {string} engine ours @param {readonly Measurement[]} measurements @returns {Row[]} */
function rowsOfEngine(area, engine, measurements) {
  const cases = [...new Set(measurements.map((one) => one.case))];
  return cases.flatMap((name) => {
    const all = measurements.filter((one) => one.case === name);
    const ours = all.find((one) => one.engine === engine);
    const peers = all.filter((one) => one.engine !== engine);
    const median = ours?.median ?? null;
    const own = { area, case: name, engine, median, unit: all[0].unit };
    const facts = ours?.facts === undefined ? {} : { facts: ours.facts };
    if (peers.length === 0) return [{ ...own, ...remarks(ours), ...facts }];
    return peers.map((peer) => ({
      ...own,
      peer: peer.engine,
      peerMedian: peer.median,
      ratio: median === null || peer.median === null ? null : advantage(median, peer.median, own.unit),
      ...remarks(ours, peer),
      ...facts,
      ...(peer.facts === undefined ? {} : { peerFacts: peer.facts }),
    }));
  });
}

/** @param {(Measurement | undefined)[]} measurements @returns {{ disagrees?: true, note?: string }} */
function remarks(...measurements) {
  const notes = measurements.flatMap((one) => (one?.note === undefined ? [] : [`${one.engine}: ${one.note}`]));
  return {
    ...(measurements.some((one) => one?.disagrees) ? { disagrees: true } : {}),
    ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
  };
}

const figure = (/** @type {number} */ x) => (x < 10 ? x.toFixed(2) : x.toFixed(0));

/** A table of cases and engines for each engine of ours; in brackets, its advantage over the peer. @param {readonly Row[]} rows */
export function formatRows(rows) {
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  const notes = new Set(rows.flatMap((row) => (row.note === undefined ? [] : [`${row.disagrees ? '! ' : ''}${row.case}, ${row.note}`])));
  const tables = engines.map((engine) =>
    tableOf(rows.filter((row) => row.engine === engine && (engines.length === 1 || row.median !== null))),
  );
  return `${tables.join('\n')}${notes.size === 0 ? '' : `\n${[...notes].join('\n')}\n`}`;
}

/** @param {readonly Row[]} rows of one engine of ours */
function tableOf(rows) {
  if (rows.length === 0) return '';
  const [{ engine }] = rows;
  const peers = [...new Set(rows.flatMap(({ peer }) => peer ?? []))];
  const cases = [...new Set(rows.map((row) => row.case))];
  const lines = cases.map((name) => {
    const all = rows.filter((row) => row.case === name);
    const cells = peers.map((peer) => {
      const { peerMedian, ratio, disagrees } = all.find((row) => row.peer === peer) ?? {};
      if (peerMedian === undefined || peerMedian === null) return '-';
      return `${figure(peerMedian)}${ratio ? ` (${ratio.toFixed(ratio < 1 ? 2 : 1)}×)` : ''}${disagrees ? ' !' : ''}`;
    });
    const [{ median, unit }] = all;
    return [name, unit, median === null ? '-' : figure(median), ...cells];
  });
  const table = [['case', 'unit', engine, ...peers], ...lines];
  const widths = table[0].map((_, column) => Math.max(...table.map((line) => line[column].length)));
  const text = table.map((line) => line.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '));
  return `${text.join('\n')}\n`;
}
