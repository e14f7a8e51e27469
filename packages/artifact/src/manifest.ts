/** Manifests as files: what they say is in portable/manifest-text.ts. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { CorruptArtifactError, MissingArtifactError, withArtifactErrors } from './errors.js';
import { formatManifest, type ManifestForm, parseManifest } from './portable/manifest-text.js';
import { publishBytes, settleDirectory } from './publish.js';

/** Larger files are refused before they are read. */
const maxManifestBytes = 256 * 2 ** 20;

/** Publishes a manifest, see `formatManifest`. @throws {ArtifactError} ARTIFACT_DISK_FULL, ARTIFACT_IO, ARTIFACT_CORRUPT */
export async function writeManifest(path: string, manifest: { kind: string; version: number; [field: string]: unknown }): Promise<void> {
  await publishBytes(path, formatManifest(path, manifest));
}

/** Reads and checks a manifest. @returns the body as the schema gives it @throws {ArtifactError} ARTIFACT_MISSING, and what `parseManifest` throws */
export async function readManifest<Schema extends z.ZodType>(path: string, form: ManifestForm<Schema>): Promise<z.output<Schema>> {
  return parseManifest(path, await readText(path), form);
}

/** Times that a manifest is looked for before it is missing. */
const PATIENCE = 5;

async function readText(path: string): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readWhole(path);
    } catch (error) {
      if (!(error instanceof MissingArtifactError) || attempt === PATIENCE) throw error;
      // A publisher may have died, or be at work, between the two renames that replace a folder. One at work ends while we look.
      await settleDirectory(dirname(path));
    }
  }
}

/** Opening a pipe would wait for whoever writes to it. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

const readWhole = (path: string): Promise<string> =>
  withArtifactErrors(path, async () => {
    const file = await open(path, READ);
    try {
      const stats = await file.stat();
      const { size } = stats;
      if (!stats.isFile()) throw new CorruptArtifactError(`${path} is no regular file`);
      if (size > maxManifestBytes) throw new CorruptArtifactError(`${path} has ${size} bytes; a manifest has at most ${maxManifestBytes}`);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  });
