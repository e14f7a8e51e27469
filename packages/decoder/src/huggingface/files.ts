/** The files of a model's folder. What a file says is a name in that folder, and nothing else is opened. */
import { open, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { MissingArtifactError, withArtifactErrors } from '@sconelm/artifact';
import { DecoderError } from '../errors.js';
import { SafetensorsFile } from '../safetensors-file.js';

const PLAIN_NAME = /^[\w-][\w.-]{0,254}$/;

/**
 * The path of a file of the folder, links resolved. A snapshot of the hub's cache is links to `blobs` two levels up; no other link may lead out.
 * @throws {DecoderError} MODEL_PATH @throws {ArtifactError} missing, unreadable
 */
async function fileIn(directory: string, name: string): Promise<string> {
  const shown = JSON.stringify(name.slice(0, 80));
  const refused = (what: string) =>
    new DecoderError('MODEL_PATH', `${directory}: ${what}`, 'Download this model again, from a source you trust.');
  if (!PLAIN_NAME.test(name) || name.includes('..')) throw refused(`${shown} is no name of a file in this folder`);
  const asked = path.join(directory, name);
  return withArtifactErrors(asked, async () => {
    const [folder, file] = [await realpath(directory), await realpath(asked)];
    const snapshots = path.dirname(folder);
    const homes = path.basename(snapshots) === 'snapshots' ? [folder, path.join(path.dirname(snapshots), 'blobs')] : [folder];
    if (!homes.includes(path.dirname(file))) throw refused(`${shown} is a link out of this folder`);
    if (!(await stat(file)).isFile()) throw refused(`${shown} is no regular file`);
    return file;
  });
}

/** A JSON object of the folder; undefined where the file is missing. @throws {DecoderError} MODEL_CONFIG, MODEL_PATH */
export async function readJson(directory: string, name: string, mostBytes: number): Promise<Readonly<Record<string, unknown>> | undefined> {
  const where = path.join(directory, name);
  const text = await readText(directory, name, mostBytes);
  if (text === undefined) return undefined;
  const broken = (what: string, cause?: unknown) =>
    new DecoderError('MODEL_CONFIG', `${where}: ${what}`, 'Download this model again.', cause);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken('it is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken('it is no JSON object');
  return value as Readonly<Record<string, unknown>>;
}

/** A text of the folder; undefined where the file is missing. @throws {DecoderError} MODEL_CONFIG: too long, MODEL_PATH */
export async function readText(directory: string, name: string, mostBytes: number): Promise<string | undefined> {
  const where = path.join(directory, name);
  try {
    const file = await fileIn(directory, name);
    return await withArtifactErrors(where, async () => {
      await using handle = await open(file);
      const { size } = await handle.stat();
      if (size > mostBytes)
        throw new DecoderError('MODEL_CONFIG', `${where}: ${size} bytes, at most ${mostBytes} are read`, 'Download this model again.');
      return await handle.readFile('utf8');
    });
  } catch (error) {
    if (error instanceof MissingArtifactError) return undefined;
    throw error;
  }
}

/** @throws {DecoderError} CHECKPOINT_CORRUPT, MODEL_PATH @throws {ArtifactError} */
export async function openWeights(directory: string, name: string): Promise<SafetensorsFile> {
  return SafetensorsFile.open(await fileIn(directory, name), path.join(directory, name));
}
