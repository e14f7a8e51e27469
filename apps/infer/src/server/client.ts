/** Whoever asked, as long as he is there. */
export class Client {
  readonly #abort = new AbortController();
  #request: AbortSignal | undefined;

  /** Aborted when he leaves. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  readonly leave = (): void => {
    this.release();
    this.#abort.abort(new DOMException('the client has left', 'AbortError'));
  };

  /** He leaves when his request does; to be called when there is an answer to come, which ends with `release`. */
  watch(request: AbortSignal): void {
    this.#request = request;
    request.addEventListener('abort', this.leave);
    if (request.aborted) this.leave();
  }

  /** He has his answer. Node keeps what listens to a request's signal, and all that this reaches, as long as the process lives. */
  release(): void {
    this.#request?.removeEventListener('abort', this.leave);
  }
}
