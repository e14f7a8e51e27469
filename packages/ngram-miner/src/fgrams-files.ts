/** F-gram sets on disk: fgrams.bin and fgrams.json in a folder. */
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, publishDirectory, readManifest, sha256, withArtifactErrors, writeManifest } from '@sconelm/artifact';
import { FgramSet } from './fgrams/fgram-set.js';
import { corrupt, encodeFgramSet, type FgramManifest, fgramsForm, fileBytes, verifyFile } from './fgrams/format.js';
import type { RankedFgrams } from './fgrams/ranked.js';
import { allocateShared } from './fgrams/shared-bytes.js';

/**
 * Publishes a set in place of an older one. Equal sets have equal files.
 * @throws {MinerError} FGRAMS_LIMIT, FGRAMS_CORRUPT; {ArtifactError}
 */
export async function publishFgrams(
  directory: string,
  ranked: RankedFgrams,
  { minCount }: { readonly minCount: number },
): Promise<FgramManifest> {
  const { bytes, manifest: described } = encodeFgramSet(ranked, { minCount });
  const manifest = { ...described, hash: sha256(bytes) };
  const { kind, version } = fgramsForm;
  await publishDirectory(directory, async (aside) => {
    await publishBytes(path.join(aside, 'fgrams.bin'), bytes);
    await writeManifest(path.join(aside, 'fgrams.json'), { kind, version, ...manifest });
  });
  return manifest;
}

/** The set lies in memory that threads can share. @throws {MinerError | ArtifactError} missing, of another version, or corrupt */
export async function openFgrams(directory: string): Promise<FgramSet> {
  const manifest = await readManifest(path.join(directory, 'fgrams.json'), fgramsForm);
  const name = path.join(directory, 'fgrams.bin');
  return withArtifactErrors(name, async () => {
    const file = await open(name);
    try {
      const { size } = await file.stat();
      if (size !== fileBytes(manifest)) throw corrupt(`${size} bytes, expected ${fileBytes(manifest)}`, name);
      const { bytes, pages } = allocateShared(size);
      await readWhole(file, bytes, name);
      verifyFile(bytes, manifest, name);
      return new FgramSet(bytes, manifest, pages);
    } finally {
      await file.close();
    }
  });
}

/** Bytes that one read asks for; the operating system gives no more than 2 GiB. */
const READ = 2 ** 26;

async function readWhole(file: FileHandle, bytes: Uint8Array, name: string): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(READ, bytes.length - at), at);
    if (bytesRead === 0) throw corrupt(`ends at byte ${at}, expected ${bytes.length}`, name);
    at += bytesRead;
  }
}
