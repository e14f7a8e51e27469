/** One live holder at a time; a dead one is replaced, by one only. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireLock } from './index.js';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'artifact-lock-'));
  path = join(directory, 'deep', 'lock');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const dead = () => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  return JSON.stringify({ host: hostname(), pid, started: '1', since: '2026-01-01T00:00:00.000Z', token: 'x' });
};

test('a second holder is refused and told who holds it; released, the lock is free and leaves nothing', async () => {
  {
    await using lock = await acquireLock(path);
    expect(existsSync(lock.path)).toBe(true);
    await expect(acquireLock(path)).rejects.toMatchObject({
      code: 'ARTIFACT_LOCKED',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  }
  const again = await acquireLock(path);
  await again.release();
  await again.release();
  expect(await readdir(join(directory, 'deep'))).toEqual([]);
});

test('of many at once exactly one wins, with a free lock and with a dead holder', async () => {
  for (const before of [undefined, dead()]) {
    await (await acquireLock(path)).release();
    if (before !== undefined) writeFileSync(path, before);
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, () => acquireLock(path)));
    const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]!.value.release();
  }
});

test('a dead holder is replaced, also one that died while it replaced another', async () => {
  await (await acquireLock(path)).release();
  writeFileSync(path, dead());
  writeFileSync(`${path}.takeover`, dead());
  await using lock = await acquireLock(path);
  expect(readFileSync(lock.path, 'utf8')).toContain(`"pid":${process.pid}`);
  expect(await readdir(join(directory, 'deep'))).toEqual(['lock']);
});

test('a process with the same id that started at another time is not the holder', async () => {
  await (await acquireLock(path)).release();
  writeFileSync(path, JSON.stringify({ ...JSON.parse(dead()), pid: process.pid }));
  if (process.platform === 'linux') await (await acquireLock(path)).release();
  else await expect(acquireLock(path)).rejects.toMatchObject({ code: 'ARTIFACT_LOCKED' });
});

test('a holder on another machine and an unreadable lock are left alone', async () => {
  await (await acquireLock(path)).release();
  writeFileSync(path, JSON.stringify({ ...JSON.parse(dead()), host: 'elsewhere' }));
  await expect(acquireLock(path)).rejects.toMatchObject({ code: 'ARTIFACT_LOCKED', message: expect.stringContaining('elsewhere') });
  writeFileSync(path, '');
  await expect(acquireLock(path)).rejects.toMatchObject({ code: 'ARTIFACT_LOCKED', remedy: expect.stringContaining('Delete') });
});
