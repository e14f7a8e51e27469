/**
 * The files of a published folder but its rows: each compared with the sum that model.json has of it, and kept by the browser's cache under that
 * sum, so that nothing old is ever taken for new. Where the cache cannot be had or is full, it goes on without.
 */
import { parseManifest } from '@sconelm/artifact/portable';
import { InferError } from '../../src/errors.js';
import { PUBLISHED, type PublishedManifest, publishedForm } from '../../src/published-form.js';

const CACHE = 'scone-models';

/** What model.json says. @throws {InferError} MODEL_FETCH @throws {ArtifactError} */
export async function fetchManifest(base: URL): Promise<PublishedManifest> {
  const url = new URL(PUBLISHED.manifest, base);
  const response = await ask(url, { cache: 'no-cache' });
  return parseManifest(url.href, await response.text(), publishedForm);
}

export class ModelFiles {
  /** Bytes so far, over the network. */
  network = 0;
  /** Bytes so far, from the cache. */
  cached = 0;
  /** Why a file was not kept. */
  uncached: string | undefined;
  readonly #base: URL;
  readonly #manifest: PublishedManifest;
  readonly #onBytes: () => void;

  /** @param onBytes called as bytes arrive */
  constructor(base: URL, manifest: PublishedManifest, onBytes: () => void) {
    this.#base = base;
    this.#manifest = manifest;
    this.#onBytes = onBytes;
  }

  /** @param name a path of model.json @throws {InferError} MODEL_FETCH, MODEL_CORRUPT */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const expected = this.#manifest.files[name];
    const url = new URL(name, this.#base);
    if (expected === undefined) throw new InferError('MODEL_CORRUPT', `${PUBLISHED.manifest} says nothing of ${name}`, REMEDY);
    const key = new URL(`?sha256=${expected.sha256}`, url).href;
    const cache = await this.#cache();
    const kept = await cache?.match(key);
    if (kept !== undefined) {
      const bytes = new Uint8Array(await kept.arrayBuffer());
      if ((await sha256(bytes)) === expected.sha256) {
        this.cached += bytes.length;
        this.#onBytes();
        return bytes;
      }
    }
    const bytes = await this.#receive(url, expected.bytes);
    const found = await sha256(bytes);
    if (found !== expected.sha256)
      throw new InferError('MODEL_CORRUPT', `${url} has checksum ${found}, expected ${expected.sha256}`, REMEDY);
    if (cache !== undefined) await this.#keep(cache, key, bytes);
    return bytes;
  }

  async #cache(): Promise<Cache | undefined> {
    try {
      return await caches.open(CACHE);
    } catch (error) {
      this.uncached = reasonOf(error);
      return undefined;
    }
  }

  async #keep(cache: Cache, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const { pathname } = new URL(key);
      for (const old of await cache.keys()) if (new URL(old.url).pathname === pathname) await cache.delete(old);
      await cache.put(key, new Response(bytes));
    } catch (error) {
      this.uncached = reasonOf(error);
    }
  }

  async #receive(url: URL, size: number): Promise<Uint8Array<ArrayBuffer>> {
    // The cache above keeps it: twice would be waste.
    const response = await ask(url, { cache: 'no-store' });
    const bytes = new Uint8Array(size);
    let at = 0;
    const wrong = (found: string) => new InferError('MODEL_CORRUPT', `${url} has ${found} bytes, expected ${size}`, REMEDY);
    for (const reader = response.body!.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > size) {
        await reader.cancel();
        throw wrong('more');
      }
      bytes.set(value, at);
      at += value.length;
      this.network += value.length;
      this.#onBytes();
    }
    if (at !== size) throw wrong(String(at));
    return bytes;
  }
}

const REMEDY = 'Reload the page; if it stays, publish the folder again.';

async function ask(url: URL, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(url, init);
    if (response.ok) return response;
    throw new Error(`the server answers ${response.status}`);
  } catch (error) {
    throw new InferError('MODEL_FETCH', `${url} cannot be loaded: ${reasonOf(error)}`, 'Check the network and the server.', error);
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message || error.name : String(error));

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
