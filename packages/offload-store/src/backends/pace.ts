/**
 * Whether reads come from the page cache or from the disk (50 µs and more). The page cache takes about 1 µs, but 10 to 40 between two steps of a
 * decoder on the same CPU, whose weights have driven all else out of its caches; a promise would take longer still. One read in eight is timed, and
 * those after a slow one. Two slow ones in a row mean the disk: one alone may be the scheduler's doing. A fast one means the page cache again.
 */
const slowUs = 50;
const slowMeanUs = 12; // of threads that do nothing but read
const bytesPerUs = 2048; // what copying alone may take: half of a slow machine's memory bandwidth
const sampleEvery = 8;

export class Pace {
  isSlow = false;
  #wasSlow = false;
  #untimed = 0;
  /** How many of the next reads are timed. */
  #watched = 0;

  /** Whether the next read is to be timed. */
  isSample(): boolean {
    this.#untimed += 1;
    if (this.#watched === 0 && this.#untimed < sampleEvery) return false;
    this.#untimed = 0;
    return true;
  }

  /** A synchronous read of `bytes` ends that started at `started` of `performance.now()`. */
  take(bytes: number, started: number): void {
    const isSlow = isDisk((performance.now() - started) * 1000, bytes, slowUs);
    this.isSlow = isSlow && this.#wasSlow;
    this.#wasSlow = isSlow;
    this.#watched = isSlow ? sampleEvery : Math.max(0, this.#watched - 1);
  }

  /** Reads of `bytes` took `us` each in a thread of its own. */
  takeMean(bytes: number, us: number): void {
    this.isSlow = isDisk(us, bytes, slowMeanUs);
    this.#wasSlow = this.isSlow;
  }
}

const isDisk = (us: number, bytes: number, fromUs: number): boolean => us > fromUs + bytes / bytesPerUs;
