/** The kit finds what it is there to find: each writer here has one mistake, which is caught and named. */
import fs from 'node:fs';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { forEveryCall, forPowerCuts } from './index.mjs';

class TypedError extends Error {
  readonly code = 'SAMPLE_IO';
  readonly remedy = 'Try that once more.';
}
const typed = async (work: () => Promise<unknown>) => {
  try {
    await work();
  } catch (cause) {
    throw new TypedError('cannot write the sample', { cause });
  }
};
const content = (word: string) => word.repeat(1000);
const target = (folder: string) => path.join(folder, 'file');
const setUp = (folder: string) => writeFile(target(folder), content('old'));
const read = (folder: string) => readFile(target(folder), 'utf8').catch(() => 'absent');

async function publish(folder: string, { syncsFile = true, syncsFolder = true } = {}): Promise<void> {
  const aside = path.join(folder, '.aside');
  const file = await open(aside, 'w');
  try {
    await file.writeFile(content('new'));
    if (syncsFile) await file.sync();
  } finally {
    await file.close();
  }
  await rename(aside, target(folder));
  if (!syncsFolder) return;
  const parent = await open(folder);
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

describe('a call that fails', () => {
  const failing = (write: (folder: string) => Promise<unknown>) => forEveryCall({ setUp, read, write });

  test('passes a writer without a mistake, in which every call was let fail', async () => {
    const tried = await failing((folder) => typed(() => publish(folder)));
    expect(tried).toEqual({ EIO: 8, ENOSPC: 5, EMFILE: 2, 'short write': 0, 'short read': 0 }); // open, write, sync, close, rename, open, sync, close
  });
  test('finds a file written in place', async () => {
    await expect(failing((folder) => typed(() => writeFile(target(folder), content('new'))))).rejects.toThrow(
      /EIO at call 1 .*neither the old/,
    );
  });
  test('finds an error without a code', async () => {
    await expect(failing((folder) => publish(folder))).rejects.toThrow(/no code of ours \(EIO\)/);
  });
  test('finds a file left open', async () => {
    const leaking = async (folder: string) => {
      const file = await open(path.join(folder, '.aside'), 'w');
      await file.writeFile(content('new'));
      await file.close();
      await rename(path.join(folder, '.aside'), target(folder));
    };
    await expect(failing((folder) => typed(() => leaking(folder)))).rejects.toThrow(/stay open/);
  });
  test('finds a short write that is taken for a whole one', async () => {
    const careless = async (folder: string) => {
      const fd = fs.openSync(path.join(folder, '.aside'), 'w');
      try {
        fs.writeSync(fd, Buffer.from(content('new')));
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(path.join(folder, '.aside'), target(folder));
    };
    await expect(failing((folder) => typed(() => careless(folder)))).rejects.toThrow(/short write at call 1/);
  });
  test('finds what a failure leaves behind for good', async () => {
    const littering = async (folder: string) => {
      const aside = path.join(folder, `.aside-${fs.readdirSync(folder).length}`);
      fs.writeFileSync(aside, content('new'));
      fs.renameSync(aside, target(folder));
    };
    await expect(failing((folder) => typed(() => littering(folder)))).rejects.toThrow(/is left over/);
  });
  test('reaches streams and callbacks, and worker threads', async () => {
    const streaming = (folder: string) => pipeline(fs.createReadStream(target(folder)), fs.createWriteStream(path.join(folder, '.copy')));
    const inWorker = (folder: string) =>
      new Promise<unknown>((resolve, reject) => {
        const code = "import { renameSync } from 'node:fs'; renameSync(process.env.FROM, process.env.TO)";
        const env = { FROM: path.join(folder, '.copy'), TO: path.join(folder, 'copy') };
        new Worker(new URL(`data:text/javascript,${code}`), { env }).on('error', reject).on('exit', resolve);
      });
    const copy = async (folder: string) => {
      await streaming(folder);
      await inWorker(folder);
    };
    const writer = {
      setUp,
      read: (folder: string) => readFile(path.join(folder, 'copy'), 'utf8').catch(() => 'absent'),
      write: (folder: string) => typed(() => copy(folder)),
    };
    const tried = await forEveryCall(writer, { faults: ['EIO'] });
    expect(tried.EIO).toBeGreaterThan(6);
    const untyped = async (folder: string) => {
      await typed(() => streaming(folder));
      await inWorker(folder);
    };
    await expect(forEveryCall({ ...writer, write: untyped })).rejects.toThrow(/in a worker thread.*no code of ours/);
  });
});

describe('a power cut', () => {
  const cut = (options: { syncsFile?: boolean; syncsFolder?: boolean }) =>
    forPowerCuts({ setUp, read, write: (folder: string) => publish(folder, options) }, { cuts: 100, seed: 1 });

  test('passes a writer without a mistake, before and after its rename', async () => {
    const seen = await cut({});
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(10);
  });
  test('finds a rename that is on the disk before the data', async () => {
    await expect(cut({ syncsFile: false })).rejects.toThrow(/readers see (neither the old|not the new)/);
  });
  test('finds a folder that was not synced', async () => {
    await expect(cut({ syncsFolder: false })).rejects.toThrow(/though the writer had returned/);
  });
  test('is replayed by its seed', async () => {
    const failure = await cut({ syncsFile: false }).catch((error: Error) => error.message);
    const seed = Number(/seed: (\d+)/.exec(String(failure))?.[1]);
    const again = forPowerCuts({ setUp, read, write: (folder: string) => publish(folder, { syncsFile: false }) }, { cuts: 1, seed });
    await expect(again).rejects.toThrow(String(failure));
  });
});
