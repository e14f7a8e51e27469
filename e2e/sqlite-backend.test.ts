/** The store backend of examples/, written from outside the package: type-checked, by the conformance kit, and through the commands. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createStore } from '@sconelm/offload-store';
import { beforeAll, expect, it } from 'vitest';
import { ensureDependencies } from '../tools/setup/dependencies.mjs';
import { ROOT } from '../tools/setup/root.mjs';
import { commandsInFolder } from './command.js';

const EXAMPLE = path.join(ROOT, 'examples/sqlite-backend');
const { folder, command } = commandsInFolder();
const store = (...args: string[]) => command('train', ['store', ...args]);

beforeAll(() => ensureDependencies(EXAMPLE));

function run(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: EXAMPLE, encoding: 'utf8' });
  if (status !== 0) expect.fail(`node ${args.join(' ')} exited with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

it('has the types that the interface asks for', () => {
  run([path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.']);
});

it('is what the guide shows', () => {
  const linesOf = (text: string) => text.replace(/^ +/gm, '');
  const sources = ['sqlite-backend.mjs', 'sqlite-backend.test.mjs'].map((file) => linesOf(readFileSync(path.join(EXAMPLE, file), 'utf8')));
  const guide = linesOf(readFileSync(path.join(ROOT, 'docs/adding-a-backend.md'), 'utf8'));
  const blocks = [...guide.matchAll(/^```js\n(.*?)^```/gms)].flatMap(([, code]) => code.split(/^\/\/ \.\.\.\n/m));
  expect(blocks.length).toBeGreaterThanOrEqual(8);
  for (const block of blocks) expect(sources.filter((source) => source.includes(block)).length, block).toBe(1);
});

it('passes the conformance kit, cases on damage and killed writers included', () => {
  const passed = [...run(['--test', '--test-reporter=tap']).matchAll(/^ *ok \d+ - (.*)$/gm)].map(([, name]) => name);
  expect(passed.length).toBeGreaterThanOrEqual(30);
  for (const about of [/damaged/, /killed/]) expect(passed.filter((name) => about.test(name))).not.toEqual([]);
});

it('serves the commands that are given its file', async () => {
  const [rows, width] = [1000, 16];
  await using writer = await createStore(`file:${path.join(folder, 'rows')}`, {
    rows,
    width,
    dtype: 'f16',
    binding: { fgrams: 'set', model: 'model' },
  });
  const ids = Uint32Array.from({ length: rows }, (_, id) => id);
  await writer.write(
    ids,
    Float32Array.from({ length: rows * width }, (_, i) => i % 2000),
  );
  await writer.publish();
  const backend = ['--backend', path.join(EXAMPLE, 'sqlite-backend.mjs')];
  expect(await store('copy', 'file:rows', 'sqlite:rows.db', ...backend)).toMatchObject({ code: 0 });
  expect(existsSync(path.join(folder, 'rows.db'))).toBe(true);
  expect(await store('verify', 'sqlite:rows.db', ...backend)).toMatchObject({ code: 0 });
  expect(await store('copy', 'sqlite:rows.db', 'file:back', ...backend)).toMatchObject({ code: 0 });
  const bytesOf = (name: string) => readFileSync(path.join(folder, name, 'rows-00000.bin'));
  expect(bytesOf('back').equals(bytesOf('rows'))).toBe(true);

  expect(await store('info', 'sqlite:rows.db')).toMatchObject({ code: 1, err: expect.stringContaining('no backend for sqlite:') });
  expect(await store('info', 'sqlite:rows.db', '--backend', 'none.mjs')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/none\.mjs cannot be imported/),
  });
  writeFileSync(path.join(folder, 'empty.mjs'), 'export const scheme = 1;\n');
  expect(await store('info', 'sqlite:rows.db', '--backend', 'empty.mjs')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/empty\.mjs exports no backend/),
  });
});
