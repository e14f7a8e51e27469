/** npm run bench -- SUITE [--cases a,b] [--engines a,b] [--rounds N] [--json]: this repository against its peers, interleaved in one run. */
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureDependencies } from '../setup/dependencies.mjs';
import { ROOT } from '../setup/root.mjs';
import { compareEngines, formatRows } from './compare.mjs';

const SUITES = { tensor: () => import('./tensor/suite.mjs') };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cases: { type: 'string' },
    engines: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    json: { type: 'boolean', default: false },
  },
});
const [name] = positionals;
if (!(name in SUITES) || !/^[1-9]\d*$/.test(values.rounds)) {
  process.stderr.write(
    `usage: npm run bench -- SUITE [--cases a,b] [--engines a,b] [--rounds N] [--json]\nsuites: ${Object.keys(SUITES).join(', ')}\n`,
  );
  process.exit(2);
}
await ensureDependencies(path.join(ROOT, 'tools/bench/peers'));
const { suite } = await SUITES[/** @type {keyof typeof SUITES} */ (name)]();
/** @template {{ name: string }} T @param {readonly T[]} all @param {string | undefined} wanted */
const pick = (all, wanted) => {
  if (wanted === undefined) return all;
  const names = wanted.split(',');
  const unknown = names.find((one) => !all.some((each) => each.name === one));
  if (unknown !== undefined) {
    process.stderr.write(`error: there is no '${unknown}'\n  -> Choose from: ${all.map((each) => each.name).join(', ')}\n`);
    process.exit(2);
  }
  return all.filter((each) => names.includes(each.name));
};
const engines = pick(suite.engines, values.engines);
const rows = await compareEngines({ ...suite, cases: pick(suite.cases, values.cases), engines, rounds: Number(values.rounds) }, (line) =>
  process.stderr.write(`${line}\n`),
);
process.stdout.write(values.json ? `${JSON.stringify(rows, null, 2)}\n` : formatRows(rows));
process.exit(rows.some(({ disagrees }) => disagrees) ? 1 : 0);
