/** `--backend FILE`: store backends that others wrote. */
import { pathToFileURL } from 'node:url';
import { loadBackends } from '@sconelm/offload-store';
import { z } from 'zod';

export const backendOption = z.array(z.string()).default([]).describe('files of modules that export further store backends');

/** @throws {StoreError} STORE_BACKEND, STORE_SCHEME */
export function loadGivenBackends(files: readonly string[]): Promise<void> {
  return loadBackends(files.map((file) => pathToFileURL(file).href));
}
