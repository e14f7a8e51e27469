/** IRSTLM's `ngt`: a table of all n-grams of the longest length. GNU time tells what its process took. */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { question } from '../miner/measured.mjs';

const { ngt, words, table, maxLength } = question();
const { status, stderr } = spawnSync(
  '/usr/bin/time',
  ['-f', '\u0001%U %S %e %M', ngt, `-i=${words}`, `-n=${maxLength}`, '-gooout=y', `-o=${table}`],
  {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  },
);
const [user, system, wallSeconds, kilobytes] = (stderr.split('\u0001')[1] ?? '').split(' ').map(Number);
if (status !== 0 || Number.isNaN(kilobytes ?? Number.NaN)) throw new Error(`ngt ended with ${status}: ${stderr.slice(-500)}`);
const taken = { cpuSeconds: user + system, wallSeconds, peakMB: kilobytes / 1e3, result: { version: 'IRSTLM 6.00.05' } };
process.stdout.write(`\u0001${JSON.stringify(taken)}\n`);
