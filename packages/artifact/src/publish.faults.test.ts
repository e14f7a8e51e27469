/** Every way of publishing, with every call failing in turn and with the power failing: the old artifact whole or the new one whole. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { forEveryCall, forPowerCuts } from '../../../tools/faults/index.mjs';
import {
  acquireLock,
  promoteDirectory,
  publishBytes,
  publishDirectory,
  publishFile,
  readManifest,
  settleDirectory,
  withArtifactErrors,
  writeManifest,
} from './index.js';

const body = (generation: string) => `${generation}\n`.repeat(1000); // a dozen sectors
const textOf = (path: string) => readFile(path, 'utf8').catch(() => 'absent');

const file = {
  setUp: (folder: string) => publishBytes(join(folder, 'deep/file'), body('old')),
  write: (folder: string) => publishBytes(join(folder, 'deep/file'), body('new')),
  read: (folder: string) => textOf(join(folder, 'deep/file')),
};
const writers = {
  'publishBytes over an older file': file,
  'publishBytes into a new folder': { write: file.write, read: file.read },
  'publishFile in many small writes': {
    ...file,
    write: (folder: string) =>
      publishFile(join(folder, 'deep/file'), async (handle) => {
        const content = Buffer.from(body('new'));
        for (let at = 0; at < content.length; ) {
          const { bytesWritten } = await handle.write(content, at, Math.min(700, content.length - at), at);
          at += bytesWritten;
        }
      }),
  },
  'publishDirectory over an older folder': {
    setUp: (folder: string) => publishFolder(folder, 'old'),
    write: (folder: string) => publishFolder(folder, 'new'),
    read: readFolder,
  },
  'publishDirectory into a new folder': { write: (folder: string) => publishFolder(folder, 'new'), read: readFolder },
  'a folder filled by hand, then promoteDirectory': {
    setUp: (folder: string) => publishFolder(folder, 'old'),
    write: (folder: string) =>
      withArtifactErrors(folder, async () => {
        await rm(join(folder, 'filling'), { recursive: true, force: true });
        await mkdir(join(folder, 'filling'));
        for (const name of ['one', 'two']) await writeFile(join(folder, 'filling', name), body('new'));
        await promoteDirectory(join(folder, 'filling'), join(folder, 'folder'));
      }),
    read: readFolder,
  },
  writeManifest: {
    setUp: (folder: string) => writeManifest(join(folder, 'manifest.json'), { kind: 'sample', version: 1, text: body('old') }),
    write: (folder: string) => writeManifest(join(folder, 'manifest.json'), { kind: 'sample', version: 1, text: body('new') }),
    read: (folder: string) =>
      readManifest(join(folder, 'manifest.json'), { kind: 'sample', version: 1, schema: z.strictObject({ text: z.string() }) }),
  },
  'a file published under a lock': { ...file, write: publishLocked },
  'a file published under a lock that a dead process held': {
    ...file,
    setUp: async (folder: string) => {
      await file.setUp(folder);
      await acquireLock(join(folder, 'deep/.lock'));
    },
    write: publishLocked,
  },
};

async function publishLocked(folder: string): Promise<void> {
  await using _ = await acquireLock(join(folder, 'deep/.lock'));
  await file.write(folder);
}

function publishFolder(folder: string, generation: string): Promise<void> {
  return publishDirectory(join(folder, 'folder'), async (aside) => {
    await mkdir(join(aside, 'sub'));
    for (const name of ['one', 'sub/two']) await writeFile(join(aside, name), body(generation));
  });
}

async function readFolder(folder: string): Promise<unknown> {
  await settleDirectory(join(folder, 'folder'));
  return Promise.all(['one', 'two', 'sub/two'].map((name) => textOf(join(folder, 'folder', name))));
}

describe.each(Object.entries(writers))('%s', (_name, writer) => {
  test('survives every call failing', async () => {
    const tried = await forEveryCall<unknown>(writer);
    for (const fault of ['EIO', 'ENOSPC', 'EMFILE', 'short write']) expect(tried).toHaveProperty([fault]);
    expect(tried.EIO).toBeGreaterThan(5);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts<unknown>(writer);
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
});
