#!/usr/bin/env node
/** The command line of scone-train. */
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { TrainError } from './errors.js';
import { quickstart } from './quickstart/quickstart.js';
import { tableRows } from './quickstart/report.js';

const HELP = `scone-train quickstart: the whole way of the data on the bundled corpus

  --budget MINUTES   training tokens are proportional to it (default 5, on two cores without a GPU)
  --seed N           initial weights, order of windows, sample (default 1)
  --directory DIR    where everything is written (default runs/quickstart)
  --json             print the figures as JSON
  --help             this text

Examples:
  npm run train -- quickstart
  npm run train -- quickstart --budget 1 --directory runs/short
`;

const CORPUS = fileURLToPath(new URL('../../../data/quickstart', import.meta.url));

class UsageError extends Error {
  readonly remedy = 'Run with --help to see the options.';
}

function numberOf(name: string, text: string, accepts: (value: number) => boolean): number {
  const value = Number(text);
  if (text === '' || !accepts(value)) throw new UsageError(`--${name} is '${text}', which is no number in range`);
  return value;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        budget: { type: 'string', default: '5' },
        seed: { type: 'string', default: '1' },
        directory: { type: 'string', default: 'runs/quickstart' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows)
    process.stdout.write(`${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}\n`);
}

async function run(args: readonly string[]): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help === true) {
    process.stdout.write(HELP);
    return;
  }
  if (positionals.length !== 1 || positionals[0] !== 'quickstart')
    throw new UsageError(`unknown command '${positionals.join(' ')}'; there is: quickstart`);
  const abort = new AbortController();
  process.once('SIGINT', () => {
    process.stderr.write('interrupted: saving; the same command goes on from here\n');
    abort.abort(new TrainError('TRAIN_STATE', 'interrupted', 'Run the same command again to go on.'));
  });
  const budget = numberOf('budget', values.budget, (value) => value > 0 && value <= 10_000);
  const seed = numberOf('seed', values.seed, (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 31);
  const directory = path.resolve(values.directory);
  const { summary, report } = await quickstart({
    budget,
    seed,
    directory,
    corpus: CORPUS,
    signal: abort.signal,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  if (values.json === true) {
    process.stdout.write(`${JSON.stringify(summary)}\n`);
    return;
  }
  process.stdout.write('\n');
  printTable(tableRows(summary));
  process.stdout.write(`\nreport: ${report}\nnext:   npm run train -- quickstart --budget 20 --directory runs/longer\n`);
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`error: ${error.message}\n  -> ${error.remedy}\n`);
    return 2;
  }
  if (error instanceof Error && 'remedy' in error) {
    process.stderr.write(`error: ${error.message}\n  -> ${String(error.remedy)}\n`);
    return error instanceof TrainError && error.message === 'interrupted' ? 130 : 1;
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

try {
  await run(process.argv.slice(2));
  process.exit(0);
} catch (error) {
  process.exit(explain(error));
}
