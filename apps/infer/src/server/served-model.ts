/** A model as the routes see it, and where it is on its way to being served. */
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';
import type { ChatTemplate } from '../chat/chat-template.js';
import type { TemplateRenderer } from '../chat/template-renderer.js';
import type { Engine } from '../engine/engine.js';
import type { LookUpCounts } from '../engine/look-up-counts.js';
import type { VerifiedRows } from '../verified-rows.js';
import { HttpError } from './errors.js';

export interface ServedChat {
  readonly template: ChatTemplate;
  readonly renderer: TemplateRenderer;
  /** Takes the names of special tokens, which a rendered text has, for those tokens. */
  readonly tokenizer: Tokenizer;
}

export interface ServedModel {
  /** Its name in the API. */
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly tokenizer: Tokenizer;
  /** Each of them ends a text. */
  readonly stopTokens: readonly number[];
  readonly engine: Engine;
  /** A hash of every parameter. */
  readonly fingerprint: string;
  /** Absent for a model without a chat template. */
  readonly chat?: ServedChat | undefined;
  /** Absent for a plain decoder. */
  readonly fgrams?: FgramSet | undefined;
  readonly store?: RowStore | undefined;
  /** What was looked up so far. */
  readonly lookUps?: LookUpCounts | undefined;
  /** Where a sample of the rows is compared. */
  readonly verified?: VerifiedRows | undefined;
  /** Of the run, absolute; absent for a pretrained model. */
  readonly directory?: string | undefined;
}

/** Empty while the model loads. */
export class ServerState {
  model: ServedModel | undefined;
  isDraining = false;

  /** @throws {HttpError} 404 for a model without a chat template */
  expectChat(name?: string): { readonly model: ServedModel; readonly chat: ServedChat } {
    const model = this.expectModel(name);
    if (model.chat !== undefined) return { model, chat: model.chat };
    throw new HttpError(404, 'chat_template_missing', `'${model.id}' has no chat template; use /v1/completions`, { param: 'messages' });
  }

  /** @throws {HttpError} 503 while it loads; 404 for another name */
  expectModel(name?: string): ServedModel {
    if (this.model === undefined) throw new HttpError(503, 'model_loading', 'the model is still loading', { retryAfterMs: 1000 });
    if (name === undefined || name === this.model.id) return this.model;
    throw new HttpError(404, 'model_not_found', `there is no model '${name}'; this server has '${this.model.id}'`, { param: 'model' });
  }
}
