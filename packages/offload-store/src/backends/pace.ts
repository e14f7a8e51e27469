/**
 * Whether reads come from the page cache (about 1 µs) or from the disk (50 µs and more). One read in eight is timed; a slow one
 * switches the rest of a batch to many reads in flight, and the first read of every call finds out when the cache is warm again.
 */
import { performance } from 'node:perf_hooks';

const slowUs = 12;
const bytesPerUs = 2048; // what copying alone may take: half of a slow machine's memory bandwidth
const sampleEvery = 8;

export class Pace {
  isSlow = false;
  #untimed = 0;

  /** Runs a synchronous read of `bytes`, now and then with a clock beside it. */
  time<T>(bytes: number, read: () => T): T {
    this.#untimed += 1;
    if (!this.isSlow && this.#untimed < sampleEvery) return read();
    this.#untimed = 0;
    const started = performance.now();
    const result = read();
    this.isSlow = (performance.now() - started) * 1000 > slowUs + bytes / bytesPerUs;
    return result;
  }
}
