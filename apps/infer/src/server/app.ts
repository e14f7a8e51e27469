/** The server's routes behind its checks: Host, origin, key, size. */
import { randomUUID } from 'node:crypto';
import { getConnInfo } from '@hono/node-server/conninfo';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { inspectRoutes } from '../inspect/routes.js';
import { chatForm, chatPrompt, generationOf } from './chat.js';
import { encodePrompt, promptsOf, tokenName } from './choices.js';
import { answer, completionForm } from './completions.js';
import { asHttpError, badRequest, errorResponse, HttpError } from './errors.js';
import { createMetrics } from './metrics.js';
import { openApiDocument, type RouteDescription } from './openapi.js';
import { pageFile } from './pages.js';
import { chatSchema, completionSchema, detokenizeSchema, parseParameters, templateSchema, tokenizeSchema } from './parameters.js';
import { type AppContext, type AppVariables, bodyOf, type Route } from './route.js';
import { hostCheck, keyOwner, originCheck } from './security.js';
import type { ServedModel, ServerState } from './served-model.js';

export interface AppOptions {
  readonly version: string;
  /** Names that a Host header may have, besides those of loopback. */
  readonly allowedHosts?: readonly string[];
  /** None: whoever reaches the server may ask. */
  readonly keys?: readonly string[];
  /** Origins of pages that may ask. */
  readonly corsOrigins?: readonly string[];
  /** Neither the inspector's page nor what it asks. */
  readonly noInspector?: boolean;
  /** Of a request's body. Default 4 MiB. */
  readonly maxBodyBytes?: number;
  /** Default 15 s. */
  readonly pingMs?: number;
  /** Told of what is our fault; never of prompts. */
  readonly onError?: (error: unknown, requestId: string) => void;
}

/** The routes, and those that are open to all. */
export function createApp(state: ServerState, options: AppOptions) {
  const { version, allowedHosts = [], keys = [], corsOrigins = [], maxBodyBytes = 2 ** 22, pingMs = 15_000 } = options;
  const { noInspector = false, onError = () => {} } = options;
  const metrics = createMetrics(() => state.model);
  const routes = routesOf(state, { version, metrics, pingMs, noInspector, onError });
  const app = new Hono<{ Variables: AppVariables }>();
  app.use(async (c, next) => {
    const given = c.req.header('x-request-id');
    c.set('requestId', given !== undefined && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID());
    c.header('x-request-id', c.get('requestId'));
    await next();
    metrics.response(c.res.status);
  });
  app.use(hostCheck(allowedHosts));
  app.use(originCheck(corsOrigins));
  const add = ({ method, path, handle }: Route) => app[method](path, handle);
  // What comes before the check of keys is open.
  for (const route of routes) if (route.open) add(route);
  app.use(async (c, next) => {
    const owner = keys.length === 0 ? addressOf(c) : keyOwner(keys, c.req.header('authorization'));
    if (owner === undefined) throw new HttpError(401, 'invalid_api_key', 'a key is needed: authorization: Bearer KEY');
    c.set('owner', owner);
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw new HttpError(413, 'body_too_large', `a body may have ${maxBodyBytes} bytes`);
      },
    }),
  );
  for (const route of routes) if (!route.open) add(route);
  app.notFound((c) => {
    const path = c.req.path.slice(0, 200);
    const others = routes.filter((route) => route.path === path).map(({ method }) => method.toUpperCase());
    if (others.length > 0) {
      c.header('allow', others.join(', '));
      return errorResponse(c, new HttpError(405, 'method_not_allowed', `${path} takes ${others.join(', ')}`));
    }
    return errorResponse(
      c,
      new HttpError(404, 'route_not_found', `there is no ${c.req.method} ${path}; GET /openapi.json tells what there is`),
    );
  });
  app.onError((error, c) => {
    const told = asHttpError(error);
    if (told.status >= 500 && !(error instanceof HttpError)) onError(error, c.get('requestId'));
    return errorResponse(c, told);
  });
  return { app, routes: routes as readonly RouteDescription[] };
}

/** The client's address; nothing where there is no connection, as in tests. */
function addressOf(c: Context): string {
  try {
    return getConnInfo(c).remote.address ?? '';
  } catch {
    return '';
  }
}

const pageRoutes: readonly Route[] = [
  { method: 'get', path: '/', open: true, summary: 'The inspector: a page', handle: () => pageFile('index.html') },
  {
    method: 'get',
    path: '/assets/:file',
    open: true,
    summary: 'Its files',
    handle: (c) => pageFile(`assets/${c.req.param('file')}`),
  },
];

function routesOf(
  state: ServerState,
  {
    version,
    metrics,
    pingMs,
    noInspector,
    onError,
  }: { metrics: ReturnType<typeof createMetrics> } & Required<Pick<AppOptions, 'version' | 'pingMs' | 'noInspector' | 'onError'>>,
): Route[] {
  const health = (c: AppContext) => c.json({ status: 'ok' });
  const missing = (what: string) => (): never => {
    throw new HttpError(404, 'not_supported', what);
  };
  const contextOf = (c: AppContext) => ({
    metrics,
    owner: c.get('owner'),
    pingMs,
    onError: (error: unknown) => onError(error, c.get('requestId')),
  });
  const routes: Route[] = [
    { method: 'get', path: '/health', open: true, summary: 'The process lives', handle: health },
    { method: 'get', path: '/healthz', open: true, summary: 'The process lives', handle: health },
    {
      method: 'get',
      path: '/readyz',
      open: true,
      summary: '503 while the model loads and while the server drains',
      handle: (c) => {
        if (state.isDraining) throw new HttpError(503, 'shutting_down', 'the server is shutting down');
        state.expectModel();
        return c.json({ status: 'ready' });
      },
    },
    {
      method: 'get',
      path: '/v1/models',
      summary: 'The model',
      handle: (c) => c.json({ object: 'list', data: [describe(state.expectModel())] }),
    },
    {
      method: 'get',
      path: '/v1/models/:model',
      summary: 'The model, by its name',
      handle: (c) => c.json(describe(state.expectModel(c.req.param('model')))),
    },
    {
      method: 'post',
      path: '/v1/completions',
      summary: 'Text that goes on from prompts',
      body: completionSchema,
      handle: async (c) => {
        const parameters = parseParameters(completionSchema, await bodyOf(c));
        const model = state.expectModel(parameters.model);
        return answer(c, model, promptsOf(model, parameters), parameters, completionForm, contextOf(c));
      },
    },
    {
      method: 'post',
      path: '/v1/chat/completions',
      summary: 'An answer to messages, where the model has a chat template',
      body: chatSchema,
      handle: async (c) => {
        const parameters = parseParameters(chatSchema, await bodyOf(c));
        const { model, chat } = state.expectChat(parameters.model);
        const prompt = await chatPrompt(chat, parameters.messages);
        return answer(c, model, [prompt], generationOf(parameters, model, prompt), chatForm(parameters), contextOf(c));
      },
    },
    {
      method: 'post',
      path: '/apply-template',
      summary: 'The prompt that messages are',
      body: templateSchema,
      handle: async (c) => {
        const { model, messages, add_generation_prompt: opensAnswer } = parseParameters(templateSchema, await bodyOf(c));
        const { text } = await chatPrompt(state.expectChat(model).chat, messages, opensAnswer);
        return c.json({ prompt: text });
      },
    },
    {
      method: 'post',
      path: '/tokenize',
      summary: 'Token ids of a text',
      body: tokenizeSchema,
      handle: async (c) => {
        const {
          model: name,
          prompt,
          add_special_tokens: opened,
          return_token_strs: withNames,
        } = parseParameters(tokenizeSchema, await bodyOf(c));
        const model = state.expectModel(name);
        const { tokens } = encodePrompt(model, prompt, opened);
        return c.json({
          count: tokens.length,
          max_model_len: model.engine.contextLength,
          tokens,
          ...(withNames ? { token_strs: tokens.map((token) => tokenName(model, token)) } : {}),
        });
      },
    },
    {
      method: 'post',
      path: '/detokenize',
      summary: 'The text of token ids',
      body: detokenizeSchema,
      handle: async (c) => {
        const { model: name, tokens } = parseParameters(detokenizeSchema, await bodyOf(c));
        const { tokenizer } = state.expectModel(name);
        const wrong = tokens.find((token) => token >= tokenizer.vocabSize);
        if (wrong !== undefined)
          throw badRequest('tokens', 'invalid_value', `${wrong} is no token of a vocabulary of ${tokenizer.vocabSize}`);
        return c.json({ prompt: tokenizer.decode(tokens) });
      },
    },
    {
      method: 'get',
      path: '/tokenizer_info',
      summary: 'Special tokens and sizes',
      handle: (c) => {
        const { tokenizer, engine, stopTokens, chat } = state.expectModel();
        const endOfText = tokenizer.tokenText(tokenizer.endOfText);
        const ends = [...new Set(stopTokens)].map((token) => tokenizer.tokenText(token));
        // The model's own end, where it has others than that of texts.
        const own = chat?.template.endToken || (ends.find((end) => end !== endOfText) ?? endOfText);
        return c.json({
          tokenizer_class: 'PreTrainedTokenizerFast',
          vocab_size: tokenizer.vocabSize,
          model_max_length: engine.contextLength,
          bos_token: chat?.template.beginToken || endOfText,
          eos_token: own,
          end_tokens: ends,
          pad_token: endOfText,
          chat_template: chat?.template.source ?? null,
        });
      },
    },
    {
      method: 'get',
      path: '/metrics',
      summary: 'Metrics for Prometheus',
      handle: async (c) => c.text(await metrics.text(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
    },
    ...(noInspector ? [] : [...pageRoutes, ...inspectRoutes(state, { metrics, onError })]),
    { method: 'get', path: '/openapi.json', summary: 'This document', handle: (c) => c.json(openApiDocument(routes, version)) },
    { method: 'post', path: '/v1/embeddings', summary: 'Not supported', handle: missing('embeddings are not supported') },
    {
      method: 'post',
      path: '/v1/responses',
      summary: 'Not supported',
      handle: missing('responses are not supported; use /v1/completions'),
    },
  ];
  return routes;
}

/** A model in OpenAI's form, and what only a SCONE model has. */
function describe({ id, created, engine, tokenizer, fingerprint, fgrams, store }: ServedModel) {
  return {
    id,
    object: 'model',
    created,
    owned_by: 'scone',
    max_model_len: engine.contextLength,
    vocab_size: tokenizer.vocabSize,
    fingerprint,
    ...(fgrams === undefined ? {} : { fgrams: { count: fgrams.size, max_length: fgrams.maxLength } }),
    ...(store === undefined ? {} : { rows: { count: store.rows, width: store.width, dtype: store.dtype, row_bytes: store.rowBytes } }),
  };
}
