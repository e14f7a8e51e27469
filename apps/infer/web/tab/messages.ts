/** What the page and the worker that runs the model tell each other. */
import type { PublishedManifest } from '../../src/published-form.js';
import type { ShownToken } from '../components/token.js';

export interface PromptRequest {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** What was loaded so far. */
export interface Traffic {
  /** Bytes of weights, tokenizer and f-gram set over the network. */
  readonly network: number;
  /** The same from this browser's cache. */
  readonly cached: number;
  /** Of rows, their checksums and their manifest; look-ups, and how long all of them took. */
  readonly rows?: { readonly bytes: number; readonly requests: number; readonly reads: number; readonly readMs: number };
}

export interface Failure {
  /** Absent where it is no typed error. */
  readonly code?: string;
  readonly message: string;
  readonly remedy?: string;
}

export type ToWorker =
  /** Looks what the folder at this address holds. */
  | { readonly kind: 'find'; readonly base: string }
  | { readonly kind: 'load' }
  | { readonly kind: 'generate'; readonly request: PromptRequest }
  | { readonly kind: 'stop' };

export type FromWorker =
  /** What the folder says it holds; nothing else is loaded yet. */
  | { readonly kind: 'found'; readonly manifest: PublishedManifest; readonly bytes: number }
  | { readonly kind: 'loading'; readonly bytes: number }
  /** @param uncached why the weights are not kept for the next visit */
  | { readonly kind: 'ready'; readonly adapter: string; readonly uncached?: string; readonly traffic: Traffic }
  /** The prompt's tokens. */
  | { readonly kind: 'prompt'; readonly tokens: readonly ShownToken[] }
  | { readonly kind: 'token'; readonly token: ShownToken; readonly ms: number; readonly traffic: Traffic }
  | { readonly kind: 'end'; readonly reason: 'stop' | 'length' | 'stopped'; readonly text: string; readonly traffic: Traffic }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** The GPU is gone, and with it all that was on it. */
  | { readonly kind: 'lost'; readonly failure: Failure };
