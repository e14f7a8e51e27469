import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { openFgrams } from '@sconelm/ngram-miner';
import { afterAll, expect, it } from 'vitest';
import { ensureDependencies } from '../tools/setup/dependencies.mjs';
import { commandsInFolder } from './command.js';

const EXAMPLE = fileURLToPath(new URL('../examples/mine-with-a-queue', import.meta.url));
const SERVER = ['valkey-server', 'redis-server'].find((name) => spawnSync(name, ['--version']).status === 0);

const children: ChildProcess[] = [];
afterAll(async () => {
  for (const child of children.reverse()) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill();
    await once(child, 'close');
  }
});
const start = (file: string, args: readonly string[]) => {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
};
const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

it('workers that share a queue mine the set of one run, though one of them stops on the way', async ({ skip }) => {
  skip(SERVER === undefined, 'neither valkey-server nor redis-server is installed: apt-get install redis-server');
  const { folder, command } = commandsInFolder();
  const verses = Array.from(
    { length: 4000 },
    (_, i) => `the ${i % 7} people of the ${i % 11} united states in order to form union ${i % 13}`,
  );
  writeFileSync(path.join(folder, 'text.txt'), verses.join('\n\n'));
  const prepared = await command('train', [
    'prepare',
    '--text',
    'text.txt',
    '--heldout-share',
    '0',
    '--train-tokenizer',
    '512',
    '--directory',
    'data',
  ]);
  expect(prepared).toMatchObject({ code: 0 });
  const options = ['--max-length', '4', '--min-count', '5', '--max-fgrams', '5000'];
  await command('train', ['mine', '--data', 'data', '--directory', 'one', ...options]);
  await ensureDependencies(EXAMPLE);

  const port = await freePort();
  const server = start(SERVER as string, ['--port', String(port), '--bind', '127.0.0.1', '--save', '']);
  await once(server.stdout as NodeJS.ReadableStream, 'data');
  const url = ['--server', `redis://127.0.0.1:${port}`];
  const killed = start(process.execPath, [path.join(EXAMPLE, 'work.mjs'), ...url]);
  const mine = start(process.execPath, [
    ...[path.join(EXAMPLE, 'mine.mjs'), ...url, '--parts', '3', ...options],
    ...['--dataset', path.join(folder, 'data'), '--directory', path.join(folder, 'queued')],
  ]);
  let said = '';
  mine.stdout?.on('data', (data: Buffer) => {
    said += data;
  });
  // The first worker ends after its first part; those that come then do the rest.
  await once(killed.stdout as NodeJS.ReadableStream, 'data');
  killed.kill('SIGTERM');
  start(process.execPath, [path.join(EXAMPLE, 'start-workers.mjs'), '2', ...url]);
  const [code] = await once(mine, 'close');
  expect(code).toBe(0);
  const [one, queued] = await Promise.all(['one', 'queued'].map((name) => openFgrams(path.join(folder, name))));
  expect(queued.hash).toBe(one.hash);
  expect(JSON.parse(said)).toMatchObject({ parts: 3, size: one.size, hash: one.hash });
});
