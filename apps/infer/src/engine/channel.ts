/** Values from one side to an `async for` at the other; whoever stops reading early says so. */
export class Channel<T> implements AsyncIterableIterator<T> {
  readonly #values: T[] = [];
  readonly #onLeave: () => void;
  #wake: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;

  /** @param onLeave called when the reader stops before the end */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  push(value: T): void {
    this.#values.push(value);
    this.#wake?.();
  }

  /** No more values. @param error thrown to the reader after those there are */
  close(end: { readonly error?: unknown } = {}): void {
    this.#end ??= end;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#values.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#values.length > 0) return { done: false, value: this.#values.shift() as T };
    if (this.#end !== undefined && 'error' in this.#end) throw this.#end.error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (this.#end === undefined) this.#onLeave();
    this.close();
    this.#values.length = 0;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
