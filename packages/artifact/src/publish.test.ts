/** What is published is whole, or the older content is: after errors, kills and with a full disk. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { publishBytes, publishDirectory, publishFile, settleDirectory } from './index.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'artifact-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('publishFile', () => {
  test('the file holds exactly what was written, whatever was there before', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (content) => {
        await publishBytes(join(directory, 'deep/er/file'), content);
        expect(new Uint8Array(readFileSync(join(directory, 'deep/er/file')))).toEqual(content);
        expect(await readdir(join(directory, 'deep/er'))).toEqual(['file']);
      }),
      { numRuns: 30 },
    ));

  test('an error while writing keeps the old file and leaves nothing behind', async () => {
    const path = join(directory, 'file');
    await publishBytes(path, 'old');
    const failing = publishFile(path, async (file) => {
      await file.writeFile('half');
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(await readdir(directory)).toEqual(['file']);
  });

  test('a path that cannot be written is ARTIFACT_IO with its path', async () => {
    await publishBytes(join(directory, 'file'), '');
    const inFile = join(directory, 'file', 'under');
    await expect(publishBytes(inFile, 'x')).rejects.toMatchObject({ code: 'ARTIFACT_IO', message: expect.stringContaining(inFile) });
  });

  test('what a dead process left aside is removed by the next publisher', async () => {
    const left = `.file.aside-999999999-1-00ff@${encodeURIComponent((await import('node:os')).hostname())}`;
    writeFileSync(join(directory, left), 'half');
    writeFileSync(join(directory, '.file.aside-1-1-00ff@another-machine'), 'half, of a process that may live');
    await publishBytes(join(directory, 'file'), 'whole');
    expect((await readdir(directory)).sort()).toEqual(['.file.aside-1-1-00ff@another-machine', 'file']);
  });
});

describe('publishDirectory', () => {
  const publishText = (path: string, name: string, text: string) =>
    publishDirectory(path, async (aside) => {
      mkdirSync(join(aside, 'sub'));
      writeFileSync(join(aside, 'sub', name), text);
    });

  test('replaces the whole folder', async () => {
    const path = join(directory, 'folder');
    await publishText(path, 'a', '1');
    await publishText(path, 'b', '2');
    expect(await readdir(join(path, 'sub'))).toEqual(['b']);
    expect(await readdir(directory)).toEqual(['folder']);
  });

  test('an error while writing keeps the old folder and leaves nothing behind', async () => {
    const path = join(directory, 'folder');
    await publishText(path, 'a', '1');
    await expect(publishDirectory(path, () => Promise.reject(new Error('stop')))).rejects.toThrow('stop');
    expect(readFileSync(join(path, 'sub/a'), 'utf8')).toBe('1');
    expect(await readdir(directory)).toEqual(['folder']);
  });

  test('a crash between the two renames is repaired', async () => {
    const path = join(directory, 'folder');
    await publishText(path, 'a', '1');
    await rename(path, join(directory, '.folder.previous'));
    expect(await settleDirectory(path)).toBe(true);
    expect(readFileSync(join(path, 'sub/a'), 'utf8')).toBe('1');
    expect(await settleDirectory(path)).toBe(false);
  });

  test('readers that settle at any time do not stop a publisher', async () => {
    const path = join(directory, 'folder');
    await publishText(path, 'a', '0');
    let publishing = true;
    const reader = (async () => {
      while (publishing) await settleDirectory(path);
    })();
    for (let generation = 1; generation <= 20; generation += 1) await publishText(path, 'a', String(generation));
    publishing = false;
    await reader;
    expect(readFileSync(join(path, 'sub/a'), 'utf8')).toBe('20');
  });
});

test('kill -9 at any moment leaves one whole generation', async () => {
  for (let round = 0; round < 5; round += 1) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'publish-forever.test.mjs'), directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve, reject) => {
      child.stdout.once('data', resolve);
      child.once('exit', () => reject(new Error('the publishing process ended by itself')));
    });
    await new Promise((resolve) => setTimeout(resolve, 17 * round + Math.random() * 60));
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await settleDirectory(join(directory, 'folder'));
    const [file, a, b] = ['file', 'folder/a', 'folder/b'].map((name) => readFileSync(join(directory, name), 'utf8'));
    for (const content of [file!, a!]) {
      expect(content.length).toBeGreaterThan(0);
      expect(content).toBe(content.slice(0, content.indexOf('\n') + 1).repeat(20_000));
    }
    expect(b).toBe(a);
  }
  await publishBytes(join(directory, 'file'), 'x');
  await publishDirectory(join(directory, 'folder'), async () => {});
  expect((await readdir(directory)).sort()).toEqual(['file', 'folder']);
});

describe('full disk', () => {
  const mounted = mountSmallDisk();
  test.skipIf(mounted === undefined)('keeps the old file, frees what it took and says ARTIFACT_DISK_FULL', async () => {
    const path = join(mounted!, 'file');
    try {
      await publishBytes(path, 'old');
      await expect(publishBytes(path, new Uint8Array(2 << 20))).rejects.toMatchObject({ code: 'ARTIFACT_DISK_FULL' });
      const folder = publishDirectory(join(mounted!, 'folder'), (aside) => publishBytes(join(aside, 'a'), new Uint8Array(2 << 20)));
      await expect(folder).rejects.toMatchObject({ code: 'ARTIFACT_DISK_FULL' });
      expect(readFileSync(path, 'utf8')).toBe('old');
      expect(existsSync(join(mounted!, 'folder'))).toBe(false);
      expect(await readdir(mounted!)).toEqual(['file']);
    } finally {
      execFileSync('umount', [mounted!]);
      await rm(mounted!, { recursive: true });
    }
  });
});

/** A tmpfs of 1 MiB, or undefined with the reason printed where it cannot be mounted. */
function mountSmallDisk(): string | undefined {
  const path = join(tmpdir(), `artifact-small-${process.pid}`);
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'pipe' });
    return path;
  } catch (error) {
    console.log(`skipped: the full-disk test needs to mount a small tmpfs (${error instanceof Error ? error.message : error})`);
    return undefined;
  }
}
