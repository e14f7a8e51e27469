/** The real commands, killed with kill -9 before their calls that change files and at random times; each goes on to the same bytes. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { forKills } from '../tools/faults/index.mjs';
import { commandsInFolder } from './command.js';

const MAIN = fileURLToPath(new URL('../apps/train/dist/main.js', import.meta.url));
const { folder } = commandsInFolder();

const words = ['the', 'cat', 'sat', 'on', 'a', 'mat', 'and', 'the', 'dog', 'ran', 'to', 'river', 'old', 'house'];
const steps = {
  prepare: ['prepare', '--text', 'text', '--train-tokenizer', '300', '--directory', 'data'],
  mine: ['mine', '--data', 'data', '--directory', 'fgrams', '--min-count', '3'],
  run: ['run', '--data', 'data', '--fgrams', 'fgrams', '--directory', 'run', '--tokens', '1280', '--context-length', '32', '--width', '32'],
  precompute: ['precompute', '--run', 'run'],
  'store copy': ['store', 'copy', 'file:run/rows', 'file:copied'],
};
/** What each command finds, made once by those before it. */
const found = (name: string) => path.join(folder, `before ${name}`);

beforeAll(() => {
  mkdirSync(path.join(folder, 'work/text'), { recursive: true });
  for (let file = 0; file < 3; file++) {
    const lines = Array.from({ length: 60 }, (_, i) =>
      Array.from({ length: 40 }, (_, j) => words[(i * i + j * j * (file + 2) + i * j) % words.length]).join(' '),
    );
    writeFileSync(path.join(folder, 'work/text', `${file}.txt`), lines.join('\n'));
  }
  for (const [name, args] of Object.entries(steps)) {
    cpSync(path.join(folder, 'work'), found(name), { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { cwd: path.join(folder, 'work'), encoding: 'utf8' });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
  }
  rmSync(path.join(folder, 'work'), { recursive: true });
});

describe.each(Object.entries(steps))('%s', (name, args) => {
  it('ends with the same bytes after kill -9, and refuses a second one meanwhile', async () => {
    const command = {
      args: [MAIN, ...args],
      setUp: (into: string) => cpSync(found(name), into, { recursive: true }),
      varies: /state\.json$|(metrics|sessions)\.jsonl$|tfevents/, // they hold times
    };
    const seen = await forKills(command, { lockedCode: /is held by/ });
    expect(seen.killed).toBeGreaterThan(0);
  });
});
