/**
 * npm run bench -- [AREA] [--cases a,b] [--engines a,b] [--rounds N] [--tokens 10M] [--seconds N] [--json]: this repository against its peers,
 * interleaved in one run; all areas without AREA. An area is a folder with a `suite.mjs`.
 */
import { existsSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureDependencies } from '../setup/dependencies.mjs';
import { ROOT } from '../setup/root.mjs';
import { formatRows, rowsOf } from './report.mjs';

/** @typedef {import('./report.mjs').Area} Area */

const FOLDER = path.join(ROOT, 'tools/bench');
const AREAS = readdirSync(FOLDER).filter((name) => existsSync(path.join(FOLDER, name, 'suite.mjs')));
const USAGE = `usage: npm run bench -- [AREA] [--cases a,b] [--engines a,b] [--rounds N] [--tokens 10M] [--seconds N] [--json]
areas: ${AREAS.join(', ')}; all without AREA
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string' },
    engines: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    tokens: { type: 'string' },
    seconds: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [chosen] = positionals;
const knows = chosen === undefined ? values.cases === undefined && values.engines === undefined : AREAS.includes(chosen);
if (!knows || positionals.length > 1 || ![values.rounds, values.seconds ?? '1'].every((count) => /^[1-9]\d*$/.test(count))) {
  process.stderr.write(USAGE);
  process.exit(2);
}

/** @param {readonly string[]} all @param {string | undefined} wanted */
function pick(all, wanted) {
  if (wanted === undefined) return all;
  const names = wanted.split(',');
  const unknown = names.find((name) => !all.includes(name));
  if (unknown === undefined) return names;
  process.stderr.write(`error: there is no '${unknown}'\n  -> Choose from: ${all.join(', ')}\n`);
  process.exit(2);
}

/** @type {import('./report.mjs').Row[]} */
const rows = [];
/** @type {string | null} */
let adapter = null;
await ensureDependencies(path.join(FOLDER, 'peers'));
for (const name of chosen === undefined ? AREAS : [chosen]) {
  const { area } = /** @type {{ area: Area }} */ (await import(`./${name}/suite.mjs`));
  const { rounds, tokens, seconds } = values;
  const choice = {
    engines: pick(area.engines, values.engines),
    cases: pick(area.cases, values.cases),
    rounds: Number(rounds),
    ...(tokens && { tokens }),
    ...(seconds && { seconds: Number(seconds) }),
  };
  const measured = await area.measure({ ...choice, say: (line) => process.stderr.write(`${line}\n`) });
  const own = rowsOf(name, [area.engine].flat(), measured.measurements);
  adapter ??= measured.adapter ?? null;
  rows.push(...own);
  if (!values.json) process.stdout.write(`${name}\n${formatRows(own)}\n`);
}
if (values.json) {
  const cpus = os.cpus();
  const report = {
    area: chosen ?? 'all',
    adapter,
    cpu: `${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown'}`,
    date: new Date().toISOString(),
    rows,
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
}
process.exit(rows.some(({ disagrees }) => disagrees) ? 1 : 0);
