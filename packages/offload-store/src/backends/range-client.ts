/** Ranges of bytes over HTTP: few requests at once, each with a deadline, tried again with growing pauses where the failure may pass. */
import { CorruptStoreError, StoreError } from '../errors.js';
import type { ByteRange } from './range-plan.js';

export interface RangeClientOptions {
  /** Requests at once. Default 8. */
  readonly concurrency?: number;
  /** Milliseconds until a try counts as failed. Default 10,000. */
  readonly timeoutMs?: number;
  /** Tries in all. Default 5. */
  readonly tries?: number;
  /** Milliseconds before the second try; doubled for each further one, and varied by up to half. Default 100. */
  readonly pauseMs?: number;
  readonly fetch?: typeof globalThis.fetch;
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly random?: () => number;
}

/** A failure that may pass: the next try may succeed. */
class PassingFailure extends Error {}

export class RangeClient {
  readonly #options: Required<RangeClientOptions>;
  readonly #closing = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #requests = 0;
  #retries = 0;
  #bytesReceived = 0;

  constructor(options: RangeClientOptions) {
    this.#options = {
      concurrency: 8,
      timeoutMs: 10_000,
      tries: 5,
      pauseMs: 100,
      fetch: (input, init) => globalThis.fetch(input, init),
      sleep: pause,
      random: Math.random,
      ...options,
    };
  }

  /** Does `work` for every item, as many at once as requests are allowed. All settle before a failure is told; the first one aborts the others. */
  async each<T>(
    items: readonly T[],
    signal: AbortSignal | undefined,
    work: (item: T, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const failing = new AbortController();
    const own = signal === undefined ? failing.signal : AbortSignal.any([signal, failing.signal]);
    let failure: { readonly error: unknown } | undefined;
    await Promise.all(
      items.map((item) =>
        work(item, own).catch((error: unknown) => {
          failure ??= { error };
          failing.abort(error);
        }),
      ),
    );
    if (failure !== undefined) throw failure.error;
  }

  /** A file of text. @throws {StoreError} STORE_MISSING, STORE_IO, STORE_CORRUPT if it is longer than `maxBytes` */
  async readText(url: URL, maxBytes: number): Promise<string> {
    const bytes = await this.#tryHard(url, undefined, undefined, async (response) => {
      if (response.status !== 200)
        throw new StoreError('STORE_IO', `${url} answers ${response.status} to a plain request`, 'Check the server.');
      return this.#receive(url, response, maxBytes);
    });
    return new TextDecoder().decode(bytes);
  }

  /** @returns the bytes, fewer only if the file ends @throws {StoreError} STORE_MISSING, STORE_IO, STORE_CORRUPT; the signal's reason */
  async read(url: URL, { position, bytes }: ByteRange, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (bytes === 0) return new Uint8Array();
    const last = position + bytes - 1;
    return this.#tryHard(url, `bytes=${position}-${last}`, signal, async (response) => {
      if (response.status === 416) throw new CorruptStoreError(`${url} ends before byte ${position}`);
      if (response.status === 200) {
        await response.body?.cancel();
        const remedy = 'Serve the store from a host that answers range requests with 206.';
        throw new StoreError('STORE_IO', `${url}: the server sends the whole file where a range was asked for`, remedy);
      }
      if (response.status !== 206)
        throw new StoreError('STORE_IO', `${url} answers ${response.status} to a range request`, 'Check the server.');
      const said = response.headers.get('content-range'); // hidden from pages of another origin unless the server exposes it
      const isOther = said !== null && !said.replace(/\s+/g, ' ').startsWith(`bytes ${position}-`);
      if (isOther) throw new PassingFailure(`${url} answers with ${said}, asked for bytes ${position}-${last}`);
      const received = await this.#receive(url, response, bytes);
      if (received.length < bytes && !endsAt(said, position + received.length)) {
        throw new PassingFailure(`${url}: the answer ends after ${received.length} of ${bytes} bytes`);
      }
      return received;
    });
  }

  async #receive(url: URL, response: Response, maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let size = 0;
    const reader = response.body?.getReader();
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      this.#bytesReceived += value.length;
      if (size > maxBytes) {
        await reader.cancel();
        throw new CorruptStoreError(`${url} answers with more than the ${maxBytes} bytes that were expected`);
      }
      parts.push(value);
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  /** Asks until an answer is understood, as often as allowed. */
  async #tryHard<T>(
    url: URL,
    range: string | undefined,
    signal: AbortSignal | undefined,
    use: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { tries, timeoutMs, pauseMs, sleep, random, fetch } = this.#options;
    const stop = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    await this.#enter();
    try {
      for (let attempt = 1; ; attempt += 1) {
        stop.throwIfAborted();
        this.#requests += 1;
        try {
          const response = await fetch(url, {
            ...(range === undefined ? {} : { headers: { range } }),
            signal: AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]),
            redirect: 'error',
          });
          if (response.status === 404)
            throw new StoreError('STORE_MISSING', `${url} does not exist`, 'Correct the address, or publish the store there.');
          if (response.status === 429 || response.status >= 500) throw new PassingFailure(`${url} answers ${response.status}`);
          return await use(response);
        } catch (error) {
          stop.throwIfAborted();
          if (error instanceof StoreError) throw error;
          if (attempt === tries) throw failed(url, error, tries);
        }
        this.#retries += 1;
        await sleep(pauseMs * 2 ** (attempt - 1) * (0.5 + random()), stop);
      }
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#options.concurrency) this.#running += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve)); // whoever leaves hands his place over
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  stats(): Readonly<Record<string, number>> {
    return { requests: this.#requests, retries: this.#retries, bytesReceived: this.#bytesReceived };
  }

  close(): void {
    this.#closing.abort(new StoreError('STORE_CLOSED', 'the store is closed', 'Open the store again.'));
  }
}

/** Whether a Content-Range says that the file ends at this byte. */
function endsAt(contentRange: string | null, byte: number): boolean {
  return contentRange !== null && Number(/\/(\d+)$/.exec(contentRange.trim())?.[1]) === byte;
}

function failed(url: URL, error: unknown, tries: number): StoreError {
  const reason = error instanceof Error ? error.message : String(error);
  return new StoreError('STORE_IO', `${url} cannot be read: ${reason} (tried ${tries} times)`, 'Check the network and the server.', error);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
