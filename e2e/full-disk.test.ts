/** A disk that fills up: each command says so, keeps what was there, and goes on once there is room. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { commandsInFolder } from './command.js';

const { folder, command } = commandsInFolder();
const disk = path.join(folder, 'disk');
mkdirSync(disk);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk], { encoding: 'utf8' });
const isMounted = mounted.status === 0;
afterAll(() => {
  if (isMounted) spawnSync('umount', [disk]);
});

const filler = path.join(disk, 'filler');
/** Leaves `bytes` free. */
function fill(bytes: number): void {
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, new Uint8Array(bavail * bsize - bytes));
}

it('stops prepare, mine, run and precompute with a remedy; with room again, the same command is done', async ({ skip }) => {
  skip(!isMounted, `a small disk cannot be mounted here: ${mounted.stderr ?? mounted.error}`);
  writeFileSync(path.join(folder, 'own.txt'), 'The cat sat on the mat, and the dog ran to the river. '.repeat(4000));
  const commands = [
    { args: ['prepare', '--text', 'own.txt', '--train-tokenizer', '290', '--directory', 'disk/data'], room: 30_000 },
    { args: ['mine', '--data', 'disk/data', '--directory', 'disk/fgrams'], room: 2_000 },
    {
      args: [
        'run',
        '--data',
        'disk/data',
        '--fgrams',
        'disk/fgrams',
        '--directory',
        'disk/run',
        '--tokens',
        '2560',
        '--context-length',
        '32',
      ],
      room: 400_000,
    },
    { args: ['precompute', '--run', 'disk/run'], room: 10_000 },
  ];
  for (const { args, room } of commands) {
    fill(room);
    const full = await command('train', args);
    expect(full, args[0]).toMatchObject({ code: 1, err: expect.stringMatching(/no space left while writing/) });
    expect(full.err).toContain('  -> ');
    rmSync(filler);
    expect(await command('train', args), args[0]).toMatchObject({ code: 0 });
  }
  expect(await command('train', ['eval', '--run', 'disk/run', '--data', 'disk/data'])).toMatchObject({ code: 0 });
});
