/**
 * Whether reads come from the page cache (about 1 µs) or from the disk (50 µs and more). One read in eight is timed; a slow one
 * switches the rest of a batch to many reads in flight, and the first read of every call finds out when the cache is warm again.
 */

const slowUs = 12;
const bytesPerUs = 2048; // what copying alone may take: half of a slow machine's memory bandwidth
const sampleEvery = 8;

export class Pace {
  isSlow = false;
  #untimed = 0;

  /** Whether the next read is to be timed. */
  isSample(): boolean {
    this.#untimed += 1;
    if (!this.isSlow && this.#untimed < sampleEvery) return false;
    this.#untimed = 0;
    return true;
  }

  /** A synchronous read of `bytes` ends that started at `started` of `performance.now()`. */
  take(bytes: number, started: number): void {
    this.isSlow = (performance.now() - started) * 1000 > slowUs + bytes / bytesPerUs;
  }
}
