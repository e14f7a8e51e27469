/**
 * `tiered:HOT,COLD`: two stores of the same rows, of which the first holds only the lowest ids: the frequent f-grams near, all of them far.
 * For example `tiered:file:/fast/rows,https://host/rows`.
 */
import { defineBackend, type RowReader } from '../backend.js';
import { StoreArgumentError, StoreMismatchError } from '../errors.js';

export const tieredBackend = defineBackend({
  scheme: 'tiered',
  async openReader(location, open) {
    const comma = location.indexOf(',');
    if (comma < 0) throw new StoreArgumentError(`tiered:${location} names one store`, 'Write tiered:HOT,COLD with the URLs of two stores.');
    const [hotUrl, coldUrl] = [location.slice(0, comma), location.slice(comma + 1)];
    const cold = await open(coldUrl);
    try {
      const hot = await open(hotUrl);
      try {
        expectSameRows(hotUrl, hot, coldUrl, cold);
        return new TieredReader(hot, cold);
      } catch (error) {
        await hot.close();
        throw error;
      }
    } catch (error) {
      await cold.close();
      throw error;
    }
  },
});

/** @throws {StoreMismatchError} */
function expectSameRows(hotUrl: string, hot: RowReader, coldUrl: string, cold: RowReader): void {
  const form = ({ manifest: { width, dtype, binding } }: RowReader) => JSON.stringify([width, dtype, Object.entries(binding).sort()]);
  const remedy = 'Copy the first rows of the second store to the first.';
  if (form(hot) !== form(cold))
    throw new StoreMismatchError(`${hotUrl} does not hold rows of ${coldUrl}: another width, dtype or binding`, remedy);
  if (hot.manifest.rows <= cold.manifest.rows) return;
  throw new StoreMismatchError(`${hotUrl} has ${hot.manifest.rows} rows, more than the ${cold.manifest.rows} of ${coldUrl}`, remedy);
}

class TieredReader implements RowReader {
  readonly manifest: RowReader['manifest'];
  readonly isTrusted: boolean;
  readonly #hot: RowReader;
  readonly #cold: RowReader;
  #hotRowsRead = 0;
  #coldRowsRead = 0;

  constructor(hot: RowReader, cold: RowReader) {
    this.#hot = hot;
    this.#cold = cold;
    this.manifest = cold.manifest;
    this.isTrusted = hot.isTrusted !== false && cold.isTrusted !== false;
  }

  readRows(ids: Uint32Array, into: Uint8Array, signal: AbortSignal | undefined): void | Promise<void> {
    let split = 0;
    while (split < ids.length && ids[split]! < this.#hot.manifest.rows) split += 1;
    this.#hotRowsRead += split;
    this.#coldRowsRead += ids.length - split;
    const at = split * this.manifest.rowBytes;
    const far = split === ids.length ? undefined : this.#cold.readRows(ids.subarray(split), into.subarray(at), signal);
    let near: void | Promise<void>;
    try {
      near = split === 0 ? undefined : this.#hot.readRows(ids.subarray(0, split), into.subarray(0, at), signal);
    } catch (error) {
      near = Promise.reject(error);
    }
    if (near === undefined || far === undefined) return near ?? far;
    return settled([near, far]);
  }

  readChecksums(first: number, into: Uint32Array, signal: AbortSignal | undefined): void | Promise<void> {
    return this.#cold.readChecksums(first, into, signal);
  }

  stats(): Readonly<Record<string, number>> {
    const named = (tier: string, { stats }: RowReader, reader: RowReader) =>
      Object.entries(stats?.call(reader) ?? {}).map(([name, value]) => [`${tier}.${name}`, value]);
    return {
      hotRowsRead: this.#hotRowsRead,
      coldRowsRead: this.#coldRowsRead,
      hotBytes: this.#hotRowsRead * this.manifest.rowBytes,
      coldBytes: this.#coldRowsRead * this.manifest.rowBytes,
      ...Object.fromEntries([...named('hot', this.#hot, this.#hot), ...named('cold', this.#cold, this.#cold)]),
    };
  }

  async close(): Promise<void> {
    await settled([this.#hot.close(), this.#cold.close()]);
  }
}

/** Waits for all, then throws the first failure: nothing is under way any more when it is told. */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(work);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
