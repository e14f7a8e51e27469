/** Publishes a folder of two files with a manifest, and reads it back. Run it with any TypeScript runner: `npx tsx publish.ts`. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acquireLock, crc32Blocks, publishBytes, publishDirectory, readManifest, verifyBlocks, writeManifest } from '@sconelm/artifact';
import { z } from 'zod';

const directory = join(await mkdtemp(join(tmpdir(), 'artifact-')), 'words');
const head = { kind: 'word-list', version: 1 };
const schema = z.strictObject({ words: z.int(), blocks: z.array(z.int()) });

await using lock = await acquireLock(`${directory}.lock`); // a second writer is refused
await publishDirectory(directory, async (aside) => {
  await publishBytes(join(aside, 'words.txt'), 'one\ntwo\n');
  await writeManifest(join(aside, 'manifest.json'), { ...head, words: 2, blocks: await crc32Blocks(join(aside, 'words.txt')) });
}); // nothing is visible before this line, all of it after

const { words, blocks } = await readManifest(join(directory, 'manifest.json'), { ...head, schema });
await verifyBlocks(join(directory, 'words.txt'), blocks);
console.log(`${words} words, whole; written under ${lock.path}`);
