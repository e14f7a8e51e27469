/**
 * Lets one process pass for several, one after the other: what it left behind in an earlier life counts as left by a dead
 * process. A process is known by its id and its start time (/proc/PID/stat), so each life has another start time.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

let life = 0;

/** From here on this process counts as another one. */
export function startNewLife() {
  life += 1;
}

/** @type {any} */
const original = fs.readFileSync;
/** @type {any} */
const withOtherStart = (/** @type {any[]} */ ...args) => {
  const content = original(...args);
  if (args[0] !== `/proc/${process.pid}/stat` || typeof content !== 'string') return content;
  const start = content.lastIndexOf(')') + 2; // the name before it may hold spaces
  const fields = content.slice(start).split(' ');
  fields[19] = String(Number(fields[19]) + life);
  return content.slice(0, start) + fields.join(' ');
};
fs.readFileSync = withOtherStart;
syncBuiltinESMExports();
