/** The app around a hashing model, asked without a socket. */
import { Tokenizer, trainTokenizer } from '@sconelm/ngram-miner';
import { TemplateRenderer } from '../chat/template-renderer.js';
import { Engine, type EngineOptions } from '../engine/engine.js';
import { type AppOptions, createApp } from '../server/app.js';
import { ServerState } from '../server/served-model.js';
import { type HashingOptions, hashingDecoder } from './hashing-decoder.js';

const json = trainTokenizer(['The naïve café — 日本語 🦊🦊 and plain words'], { vocabSize: 290 });
export const tokenizer = Tokenizer.parse(json);

export interface ServedOptions extends Partial<HashingOptions>, EngineOptions, Partial<AppOptions> {
  /** A chat template. */
  readonly template?: string;
}

export function served(options: ServedOptions = {}) {
  const decoder = hashingDecoder({ slots: 4, vocabSize: tokenizer.vocabSize, contextLength: 64, ...options });
  const engine = new Engine(decoder, options);
  const state = new ServerState();
  const template = options.template === undefined ? undefined : { source: options.template, beginToken: '', endToken: '' };
  const chat = template && {
    template,
    renderer: new TemplateRenderer(template),
    tokenizer: Tokenizer.parse(json, { specialTokens: 'parse' }),
  };
  state.model = { id: 'tiny', created: 1, tokenizer, stopTokens: [tokenizer.endOfText], engine, fingerprint: 'f', chat };
  const { app, routes } = createApp(state, { version: '1', ...options });
  const ask = async (path: string, init: RequestInit = {}) =>
    app.request(`http://localhost${path}`, { ...init, headers: { host: 'localhost', ...init.headers } });
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    ask(path, {
      ...init,
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...init.headers },
    });
  return { app, routes, state, engine, ask, post };
}
