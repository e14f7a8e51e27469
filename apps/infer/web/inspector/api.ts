/** Asks the server the page came from. The key stays in this object, which nothing stores. */
import type { FgramPage, FgramSummary, GenerateMessage, RunList, RunReport, Status, TextReport } from '../../src/inspect/messages.js';

export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface GenerateParameters {
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly seed: number;
  readonly fgram_limit?: number;
}

export class Api {
  readonly #key: string | undefined;

  constructor(key?: string) {
    this.#key = key;
  }

  get hasKey(): boolean {
    return this.#key !== undefined;
  }

  status = (): Promise<Status> => this.#json('inspect/status');
  runs = (): Promise<RunList> => this.#json('inspect/runs');
  run = (name: string): Promise<RunReport> => this.#json(`inspect/runs/${encodeURIComponent(name)}`);
  fgramSummary = (): Promise<FgramSummary> => this.#json('inspect/fgrams');
  fgrams = (query: { text: string; from_rank: number }): Promise<FgramPage> => this.#json('inspect/fgrams', query);
  text = (query: { text: string; fgram_limit?: number }, signal: AbortSignal): Promise<TextReport> =>
    this.#json('inspect/text', query, signal);
  verify = (): Promise<{ verifiedRows: number; damage: string | null }> => this.#json('inspect/verify', {});

  /** Messages as they come. */
  async *generate(parameters: GenerateParameters, signal: AbortSignal): AsyncGenerator<GenerateMessage, void> {
    const { body } = await this.#ask('inspect/generate', parameters, signal);
    if (body === null) throw new ApiError(502, 'the server answered nothing');
    let rest = '';
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line);
    }
  }

  async #json<T>(path: string, body?: object, signal?: AbortSignal): Promise<T> {
    return (await this.#ask(path, body, signal)).json();
  }

  /** @throws {ApiError} what the server says */
  async #ask(path: string, body?: object, signal?: AbortSignal): Promise<Response> {
    const response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
      cache: 'no-store',
      credentials: 'omit',
    });
    if (response.ok) return response;
    const told = await response.json().catch(() => undefined);
    throw new ApiError(response.status, told?.error?.message ?? `the server answered ${response.status}`);
  }
}
