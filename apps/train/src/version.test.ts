import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { commitOf } from './version.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-version-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A repository with a package.json at `place`, in it as one commit. */
function packageAt(name: string, place: string, { isCommitted = true } = {}): string {
  const repository = path.join(folder, name);
  const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: repository });
  mkdirSync(path.join(repository, place), { recursive: true });
  writeFileSync(path.join(repository, place, 'package.json'), '{}');
  git('init', '-q');
  if (isCommitted) git('add', '.');
  git('commit', '-q', '--allow-empty', '-m', 'all');
  return path.join(repository, place);
}

test('a commit is named only where it is of this package, not of a repository that it is installed in', async () => {
  const commit = /^[0-9a-f]{40}$/;
  expect(await commitOf(packageAt('checkout', 'apps/train'))).toMatch(commit);
  expect(await commitOf(packageAt('installed', 'node_modules/@sconelm/train', { isCommitted: false }))).toBeUndefined();
  expect(await commitOf(packageAt('vendored', 'node_modules/@sconelm/train'))).toBeUndefined();
  expect(await commitOf(path.join(folder, '..'))).toBeUndefined();
});
