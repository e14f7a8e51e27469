/** Backends by the scheme of a store's URL. */
import { builtinBackends } from '#builtin-backends';
import type { RowReader, StoreBackend } from './backend.js';
import { StoreError } from './errors.js';

const backends = new Map<string, StoreBackend>(builtinBackends.map((backend) => [backend.scheme, backend]));

/**
 * Makes `SCHEME:...` URLs open with this backend.
 * @throws {StoreError} STORE_SCHEME if the scheme is malformed or belongs to another backend
 */
export function registerBackend(backend: StoreBackend): void {
  const { scheme } = backend;
  if (!/^[a-z][a-z0-9+.-]+$/.test(scheme)) {
    const remedy = 'Choose a scheme of two or more lower-case letters and digits.';
    throw new StoreError('STORE_SCHEME', `${JSON.stringify(scheme)} is no scheme`, remedy);
  }
  const present = backends.get(scheme);
  if (present !== undefined && present !== backend) {
    throw new StoreError('STORE_SCHEME', `the scheme ${scheme}: has a backend already`, 'Choose another scheme.');
  }
  backends.set(scheme, backend);
}

/** @throws {StoreError} STORE_SCHEME if there is no scheme or none of that name */
export function resolveUrl(url: string): { backend: StoreBackend; location: string } {
  const [, scheme, location] = /^([a-z][a-z0-9+.-]+):(.+)$/s.exec(url) ?? [];
  const known = [...backends.keys()].sort().map((name) => `${name}:`);
  if (scheme === undefined || location === undefined) {
    throw new StoreError(
      'STORE_SCHEME',
      `${JSON.stringify(url)} is no store URL`,
      `Write a scheme first, for example file:${url || 'rows'}.`,
    );
  }
  const backend = backends.get(scheme);
  if (backend === undefined) {
    const remedy = 'Use one of these schemes, or register a backend for it with registerBackend.';
    throw new StoreError('STORE_SCHEME', `no backend for ${scheme}: (there are ${known.join(' ')})`, remedy);
  }
  return { backend, location };
}

/** Opens the backend's reader of a store. @throws {StoreError} STORE_SCHEME; what the backend throws */
export async function openReader(url: string): Promise<RowReader> {
  const { backend, location } = resolveUrl(url);
  return backend.openReader(location, openReader);
}
