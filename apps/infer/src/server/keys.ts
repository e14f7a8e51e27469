/** Keys of the API, from a file or the environment: command lines are seen by every process. */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { InferError } from '../errors.js';
import { isLoopback } from './security.js';

export const KEY_VARIABLE = 'SCONE_INFER_API_KEY';

/** @param file a key on each line @throws {InferError} SERVE_OPTION */
export async function apiKeys(file: string | undefined): Promise<string[]> {
  const fromEnvironment = process.env[KEY_VARIABLE];
  let text = '';
  if (file !== undefined) {
    try {
      text = await readFile(file, 'utf8');
    } catch (cause) {
      throw new InferError('SERVE_OPTION', `the file of keys ${file} cannot be read`, 'Check the path.', cause);
    }
  }
  const keys = [...text.split('\n'), fromEnvironment ?? ''].map((line) => line.trim()).filter((line) => line !== '');
  if (file !== undefined && text.trim() === '') throw new InferError('SERVE_OPTION', `${file} has no key`, 'Write a key on each line.');
  const wrong = keys.find((key) => !/^[\x21-\x7e]{8,512}$/.test(key));
  if (wrong !== undefined) {
    throw new InferError('SERVE_OPTION', 'a key must have 8 to 512 visible ASCII characters', 'Choose another key.');
  }
  return keys;
}

/** @throws {InferError} SERVE_OPTION where whoever reaches the address could use the server without a key */
export function expectSafeBind({
  host,
  keys,
  noAuth,
}: {
  readonly host: string;
  readonly keys: readonly string[];
  readonly noAuth: boolean;
}): void {
  if (isLoopback(host) || keys.length > 0 || noAuth) return;
  throw new InferError(
    'SERVE_OPTION',
    `${host} can be reached from other machines, and there is no key`,
    `Set ${KEY_VARIABLE} or --api-key-file, or say --no-auth.`,
  );
}
