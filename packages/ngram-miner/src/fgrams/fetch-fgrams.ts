/** F-gram sets over HTTP, in browsers and in Node. */
import { parseManifest } from '@sconelm/artifact/portable';
import { MinerError } from '../errors.js';
import { FgramSet } from './fgram-set.js';
import { fgramsForm } from './format.js';

export interface FetchFgramsOptions {
  readonly signal?: AbortSignal;
  /** Asks for the two files in the place of `globalThis.fetch`. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/**
 * Loads the folder of a set from a web server.
 * @param url of the folder, or of its fgrams.json
 * @throws {MinerError} FGRAMS_FETCH: the server did not answer with the files; FGRAMS_CORRUPT; {ArtifactError} a manifest that is damaged or of
 *   another version; the signal's reason when aborted
 */
export async function fetchFgrams(
  url: string | URL,
  { signal, fetch = (url, init) => globalThis.fetch(url, init) }: FetchFgramsOptions = {},
): Promise<FgramSet> {
  const base = String(url).replace(/(\/|\/?fgrams\.json)?$/, '');
  const json = await fetchBytes(`${base}/fgrams.json`, signal, fetch);
  const manifest = parseManifest(`${base}/fgrams.json`, new TextDecoder().decode(json), fgramsForm);
  const name = `${base}/fgrams.bin`;
  return FgramSet.parse(await fetchBytes(name, signal, fetch), manifest, name);
}

async function fetchBytes(
  url: string,
  signal: AbortSignal | undefined,
  fetch: FetchFgramsOptions['fetch'] & {},
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const response = await fetch(url, signal === undefined ? {} : { signal });
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    signal?.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    throw new MinerError('FGRAMS_FETCH', `cannot load ${url}: ${reason}`, 'Check the address and the server.', error);
  }
}
