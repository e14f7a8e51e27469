/** Renders chat templates in a thread with a deadline: a template that does not end costs its request, not the server. */
import { Worker } from 'node:worker_threads';
import { InferError } from '../errors.js';
import type { ChatTemplate } from './chat-template.js';
import type { Rendered, RenderJob } from './template-worker.js';

/** Threads run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources. */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL('../../dist/chat/template-worker.js', import.meta.url)
  : new URL('./template-worker.js', import.meta.url);

/** A thread that has not started by then will not. */
const START_MS = 30_000;

/** Of the thread's memory. */
const HEAP_MB = 128;

export class TemplateRenderer implements AsyncDisposable {
  readonly #template: ChatTemplate;
  readonly #deadlineMs: number;
  #worker: Promise<Worker> | undefined;
  /** One after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(template: ChatTemplate, { deadlineMs = 1000 }: { readonly deadlineMs?: number } = {}) {
    this.#template = template;
    this.#deadlineMs = deadlineMs;
  }

  /** @returns the text that the messages are for the model @throws {InferError} CHAT_TEMPLATE: it failed, or did not end in time */
  render(job: RenderJob): Promise<string> {
    const result = this.#turn.then(() => this.#render(job));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #render(job: RenderJob): Promise<string> {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    try {
      const rendered = await answerOf<Rendered>(await worker, this.#deadlineMs, job);
      if ('text' in rendered) return rendered.text;
      throw failed(rendered.error);
    } catch (error) {
      if (error instanceof InferError) throw error;
      this.#worker = undefined;
      await worker.then((thread) => thread.terminate()).catch(() => {});
      throw failed(error instanceof Error ? error.message : String(error));
    }
  }

  async #start(): Promise<Worker> {
    const { source, beginToken, endToken } = this.#template;
    const worker = new Worker(WORKER, {
      workerData: { source, beginToken, endToken },
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    // Whoever waits is told; one that ends while nobody does is found out by the next.
    worker.on('error', () => {});
    // Loading is not the template's time.
    await answerOf(worker, START_MS);
    worker.unref();
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.then((worker) => worker.terminate()).catch(() => {});
  }
}

/** The next message of a thread. @param job posted first, where there is one @throws its error, or that it did not come in time */
async function answerOf<T>(worker: Worker, withinMs: number, job?: RenderJob): Promise<T> {
  let forget = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`it did not end within ${withinMs} ms`)), withinMs);
      forget = () => {
        clearTimeout(late);
        worker.off('message', resolve).off('error', reject);
      };
      worker.once('message', resolve).once('error', reject);
      if (job !== undefined) worker.postMessage(job);
    });
  } finally {
    forget();
  }
}

function failed(why: string): InferError {
  return new InferError(
    'CHAT_TEMPLATE',
    `the chat template refused the messages: ${why.slice(0, 300)}`,
    'Send messages in an order that this model takes.',
  );
}
