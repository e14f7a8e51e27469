/**
 * `https:` and `http:`: a file store's folder behind any static web server or object store, read by ranges. Also runs in browsers: one range per
 * request and no other header, so that no preflight is sent; checksums of blocks decide whether bytes are right, from the manifest on.
 */
import { defineBackend, type RowReader, type StoreBackend } from '../backend.js';
import { asStoreError, CorruptStoreError, StoreError } from '../errors.js';
import type { StoreManifest } from '../manifest.js';
import { parseStoreManifest } from '../manifest-text.js';
import { CHECKSUMS_NAME, MANIFEST_NAME, shardName } from './folder-form.js';
import { RangeClient, type RangeClientOptions } from './range-client.js';
import { type ByteRange, planRanges } from './range-plan.js';

export interface HttpsOptions extends RangeClientOptions {
  /** Bytes between two wanted rows that are rather read along than asked for apart. Default 16 KiB. */
  readonly maxGapBytes?: number;
}

const MAX_MANIFEST_BYTES = 2 ** 22;

/** A backend of the scheme with options of its own, for `registerBackend` under another name, or for tests. */
export function webBackend(
  scheme: string,
  protocol: 'https' | 'http',
  { maxGapBytes = 2 ** 14, ...options }: HttpsOptions = {},
): StoreBackend {
  return defineBackend({
    scheme,
    async openReader(location) {
      const base = baseOf(`${protocol}:${location}`);
      const client = new RangeClient(options);
      try {
        const text = await client.readText(new URL(MANIFEST_NAME, base), MAX_MANIFEST_BYTES);
        const manifest = parseStoreManifest(`${base}${MANIFEST_NAME}`, text);
        return new WebReader(base, manifest, client, maxGapBytes);
      } catch (error) {
        client.close();
        throw asStoreError(error, base.href);
      }
    },
  });
}

export const httpsBackend = webBackend('https', 'https');
export const httpBackend = webBackend('http', 'http');

/** @throws {StoreError} STORE_ARGUMENT */
function baseOf(url: string): URL {
  let base: URL | undefined;
  try {
    base = new URL(url.endsWith('/') ? url : `${url}/`);
  } catch {
    base = undefined;
  }
  if (base === undefined || base.search !== '' || base.hash !== '' || base.username !== '' || base.password !== '') {
    throw new StoreError('STORE_ARGUMENT', `${url} is no address of a store`, 'Write https://HOST/FOLDER, without a query or a password.');
  }
  return base;
}

class WebReader implements RowReader {
  readonly manifest: StoreManifest;
  readonly isTrusted = false;
  readonly #base: URL;
  readonly #client: RangeClient;
  readonly #maxGapBytes: number;

  constructor(base: URL, manifest: StoreManifest, client: RangeClient, maxGapBytes: number) {
    this.#base = base;
    this.manifest = manifest;
    this.#client = client;
    this.#maxGapBytes = maxGapBytes;
  }

  async readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { rowBytes } = this.manifest;
    const ranges = planRanges(ids, this.manifest, this.#maxGapBytes);
    await this.#client.each(ranges, signal, async (range, ownSignal) => {
      const bytes = await this.#read(shardName(range.shard), range, ownSignal);
      for (let i = range.start; i < range.end; i += 1) {
        const at = (ids[i]! - range.firstRow) * rowBytes;
        into.set(bytes.subarray(at, at + rowBytes), i * rowBytes);
      }
    });
  }

  async readChecksums(first: number, into: Uint32Array, signal: AbortSignal | undefined): Promise<void> {
    const bytes = await this.#read(CHECKSUMS_NAME, { position: first * 4, bytes: into.length * 4 }, signal);
    new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(bytes);
  }

  async #read(name: string, range: ByteRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const url = new URL(name, this.#base);
    const bytes = await this.#client.read(url, range, signal);
    if (bytes.length === range.bytes) return bytes;
    throw new CorruptStoreError(`${url} gave ${bytes.length} bytes from byte ${range.position} on, expected ${range.bytes}`);
  }

  stats(): Readonly<Record<string, number>> {
    return this.#client.stats();
  }

  async close(): Promise<void> {
    this.#client.close();
  }
}
