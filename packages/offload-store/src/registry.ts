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

/**
 * Imports modules and registers every backend that they export, for programs whose user names them.
 * @param urls of the modules, `file:///...` on Node
 * @throws {StoreError} STORE_BACKEND: a module cannot be imported, or exports none; STORE_SCHEME
 */
export async function loadBackends(urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    const remedy = 'Give the file of a module that exports a backend made by defineBackend.';
    const module: object = await import(/* @vite-ignore */ /* webpackIgnore: true */ url).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : error;
      throw new StoreError('STORE_BACKEND', `${url} cannot be imported: ${reason}`, remedy, error);
    });
    if (registerBackends(module) === 0) throw new StoreError('STORE_BACKEND', `${url} exports no backend`, remedy);
  }
}

/** Registers every backend that a module exports, under whatever name. @returns how many @throws {StoreError} STORE_SCHEME */
export function registerBackends(module: object): number {
  const found = Object.values(module).filter(isBackend);
  for (const backend of found) registerBackend(backend);
  return found.length;
}

function isBackend(value: unknown): value is StoreBackend {
  if (typeof value !== 'object' || value === null) return false;
  return 'scheme' in value && typeof value.scheme === 'string' && 'openReader' in value && typeof value.openReader === 'function';
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
