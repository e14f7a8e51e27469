import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { served, tokenizer } from '../testing/served.js';
import { REFUSED } from './parameters.js';
import { hostName } from './security.js';

const greedy = { prompt: 'The café', temperature: 0, max_tokens: 12, ignore_eos: true };

async function errorOf(response: Response | Promise<Response>) {
  const { status, headers } = await response;
  const { error } = (await (await response).json()) as { error: { message: string; type: string; param: string | null; code: string } };
  return { status, ...error, retryAfterMs: headers.get('retry-after-ms') };
}

describe('who may ask', () => {
  it('every route but health and the page needs a key', async () => {
    const { routes, ask, post } = served({ keys: ['first-key', 'other-key'] });
    expect(routes.length).toBeGreaterThan(12);
    // Of the page's files the unit tests have none.
    const open: Record<string, number[]> = {
      '/health': [200],
      '/healthz': [200],
      '/readyz': [200],
      '/': [200, 404],
      '/assets/:file': [404],
    };
    expect(routes.filter((route) => route.open).map(({ path }) => path)).toEqual(Object.keys(open));
    for (const { method, path } of routes) {
      const send = (headers: Record<string, string>) => (method === 'get' ? ask(path, { headers }) : post(path, {}, { headers }));
      for (const wrong of [{}, { authorization: 'Bearer wrong-key' }, { authorization: 'first-key' }, { authorization: 'Bearer ' }]) {
        const { status } = await send(wrong as Record<string, string>);
        expect(open[path] ?? [401], path).toContain(status);
      }
      for (const key of ['first-key', 'other-key']) expect((await send({ authorization: `Bearer ${key}` })).status, path).not.toBe(401);
    }
    expect(await errorOf(ask('/v1/models'))).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' });
    expect((await ask('/nowhere')).status).toBe(401);
  });

  it('by which Host', async () => {
    const { ask } = served({ allowedHosts: ['models.example.org'] });
    const fine = [
      'localhost',
      'LOCALHOST:8000',
      '127.0.0.1',
      '127.0.0.1:1',
      '[::1]',
      '[::1]:8000',
      'models.example.org',
      'Models.Example.ORG:443',
    ];
    const foreign =
      `evil.test evil.test:8000 localhost.evil.test evil.localhost models.example.org.evil.test xmodels.example.org 127.0.0.2 127.1 0 0.0.0.0
      2130706433 0x7f000001 [::] [::ffff:127.0.0.1] [::1 ::1 [::1]x localhost. localhost: localhost:x localhost:123456 localhost/ localhost@evil.test
      evil.test@localhost user:x@localhost http://localhost localhost,evil.test *`.split(/\s+/);
    for (const host of fine) expect((await ask('/health', { headers: { host } })).status, host).toBe(200);
    for (const host of foreign) expect(await errorOf(ask('/health', { headers: { host } })), host).toMatchObject({ status: 421 });
    for (const host of ['', ' ', 'localhost evil.test', 'local\thost', 'localhost\u0000'])
      expect(hostName(host), host).not.toBe('localhost');
  });

  it('from which pages', async () => {
    const { ask } = served({ corsOrigins: ['https://page.example'] });
    const from = (origin: string, init: RequestInit = {}) => ask('/v1/models', { ...init, headers: { origin, ...init.headers } });
    for (const origin of ['https://evil.test', 'null', 'http://page.example', 'https://page.example.evil.test']) {
      const response = await from(origin);
      expect({ origin, allowed: response.headers.get('access-control-allow-origin') }).toEqual({ origin, allowed: null });
      expect(await errorOf(response)).toMatchObject({ status: 403, code: 'origin_not_allowed' });
    }
    for (const origin of ['http://localhost', 'https://localhost']) expect((await from(origin)).status).toBe(200);
    expect((await from('http://localhost:8000')).status).toBe(403);
    expect((await from('https://page.example')).headers.get('access-control-allow-origin')).toBe('https://page.example');
    expect((await from('https://page.example', { method: 'OPTIONS' })).status).toBe(204);
  });

  it('with bodies of which size and kind', async () => {
    const { post } = served({ maxBodyBytes: 1000 });
    expect(await errorOf(post('/v1/completions', { prompt: 'x'.repeat(1000) }))).toMatchObject({ status: 413, code: 'body_too_large' });
    expect(await errorOf(post('/v1/completions', '{'))).toMatchObject({ status: 400, code: 'invalid_json' });
    expect(await errorOf(post('/v1/completions', '[]'))).toMatchObject({ status: 400, code: 'invalid_body' });
    const plain = { headers: { 'content-type': 'text/plain' } };
    expect(await errorOf(post('/v1/completions', greedy, plain))).toMatchObject({ status: 415, code: 'content_type' });
  });
});

describe('parameters', () => {
  const { post } = served();
  const errorFor = (body: object, path = '/v1/completions') => errorOf(post(path, { ...greedy, ...body }));

  it('that are refused are named with a reason, unless they ask for nothing', async () => {
    for (const [name, { neutral, because }] of Object.entries(REFUSED)) {
      const error = await errorFor({ [name]: ['something'] });
      expect(error).toMatchObject({ status: 400, code: 'unsupported_parameter', param: name, message: expect.stringContaining(because) });
      if (neutral !== undefined) expect((await post('/v1/completions', { ...greedy, [name]: neutral })).status, name).toBe(200);
      expect((await post('/v1/completions', { ...greedy, [name]: null })).status, name).toBe(200);
    }
    for (const name of ['temprature', '__proto__x', 'constructor', 'toString'])
      expect(await errorFor({ [name]: 1 })).toMatchObject({ status: 400, code: 'unknown_parameter', param: name });
    expect(await errorOf(post('/v1/completions', '{"prompt": "x", "__proto__": 1}'))).toMatchObject({ status: 400, param: '__proto__' });
  });

  it('that are wrong are named', async () => {
    const wrong: [string, object][] = [
      ['temperature', { temperature: -1 }],
      ['temperature', { temperature: 'hot' }],
      ['top_p', { top_p: 0 }],
      ['top_k', { top_k: 1.5 }],
      ['min_p', { min_p: 2 }],
      ['n', { n: 17 }],
      ['n', { n: 0 }],
      ['max_tokens', { max_tokens: -1 }],
      ['logprobs', { logprobs: 21 }],
      ['logit_bias', { logit_bias: { '100000': 1 } }],
      ['stop_token_ids', { stop_token_ids: [100_000] }],
      ['logit_bias', { logit_bias: { 1: 101 } }],
      ['stop', { stop: Array.from({ length: 10_000 }, () => 'x') }],
      ['stop', { stop: '' }],
      ['prompt', { prompt: [] }],
      ['prompt', { prompt: [1, -1] }],
      ['prompt', { prompt: [290] }],
      ['prompt', { prompt: { text: 'x' } }],
      ['stream_options', { stream_options: {} }],
      ['model', { model: 'another' }],
      ['max_completion_tokens', { max_completion_tokens: 3 }],
    ];
    for (const [param, body] of wrong) {
      const error = await errorFor(body);
      expect(error, JSON.stringify(body).slice(0, 80)).toMatchObject({ status: param === 'model' ? 404 : 400, param });
    }
    expect(await errorOf(post('/v1/completions', {}))).toMatchObject({ status: 400, code: 'missing_parameter', param: 'prompt' });
  });

  it('never end in an error of the server, whatever they are', async () => {
    const anyBody = fc.dictionary(
      fc.constantFrom('prompt', 'n', 'stop', 'logit_bias', 'echo', 'logprobs', 'seed', 'temperature', 'tools'),
      fc.jsonValue(),
    );
    await fc.assert(
      fc.asyncProperty(anyBody, async (body) => {
        const { status } = await post('/v1/completions', body);
        expect(status).toBeLessThan(500);
      }),
      { numRuns: 200 },
    );
  });

  it('too many tokens are refused with the number wanted and the limit', async () => {
    const error = await errorFor({ max_tokens: 1000 });
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' });
    expect(error.message).toMatch(/1000 to generate are 10\d\d, the context has 64/);
    expect(await errorFor({ prompt: 'x'.repeat(100_000) })).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });
});

describe('completions', () => {
  type Choice = { index: number; text: string; finish_reason: string | null; logprobs: null | Record<string, unknown[]> };
  type Completion = { choices: Choice[]; usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number } };
  const complete = async (body: object): Promise<Completion> => {
    const response = await served().post('/v1/completions', { ...greedy, ...body });
    expect(response.status).toBe(200);
    return (await response.json()) as Completion;
  };
  /** Data of a stream, by the letter of the specification of server-sent events. */
  const streamOf = async (body: object, options: Parameters<typeof served>[0] = {}) => {
    const response = await served(options).post('/v1/completions', { ...greedy, ...body, stream: true });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await response.arrayBuffer());
    const events = text.split('\n\n');
    expect(events.pop()).toBe('');
    return { text, data: events.filter((event) => !event.startsWith(':')).map((event) => event.replace(/^data: /, '')) };
  };

  it('streamed are those that come as a whole, in whole characters', async () => {
    for (const body of [
      {},
      { n: 3, temperature: 1, seed: 5 },
      { echo: true },
      { logprobs: 2 },
      { echo: true, logprobs: 1 },
      { prompt: ['a', 'b'], n: 2, seed: 1 },
    ]) {
      const whole = await complete(body);
      const { data } = await streamOf(body);
      expect(data.pop()).toBe('[DONE]');
      const joined = whole.choices.map(({ index }) => {
        const parts = data.map((line) => JSON.parse(line).choices[0] as Choice).filter((part) => part.index === index);
        const column = (key: string) => parts.flatMap((part) => part.logprobs?.[key] ?? []);
        return {
          index,
          text: parts.map(({ text }) => text).join(''),
          finish_reason: parts.at(-1)?.finish_reason,
          logprobs:
            parts[0].logprobs === null
              ? null
              : {
                  tokens: column('tokens'),
                  token_logprobs: column('token_logprobs'),
                  top_logprobs: column('top_logprobs'),
                  text_offset: column('text_offset'),
                },
        };
      });
      expect(joined).toEqual(whole.choices);
    }
  });

  it('streamed with usage end with it; without, say nothing of it', async () => {
    const { data } = await streamOf({ stream_options: { include_usage: true } });
    const chunks = data.slice(0, -1).map((line) => JSON.parse(line));
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
    for (const chunk of chunks.slice(0, -1)) expect(chunk.usage).toBeNull();
    expect((await streamOf({})).text).not.toContain('usage');
  });

  it('keep alive a stream that is silent', async () => {
    const wait = () => new Promise<void>((resolve) => setTimeout(resolve, 60));
    const { text } = await streamOf({ max_tokens: 2 }, { pingMs: 20, wait });
    expect(text.startsWith(': ping\n\n')).toBe(true);
  });

  it('that fail on the way say so in the stream', async () => {
    const { data } = await streamOf({}, { failAt: (tokens) => tokens.length > 10 });
    expect(data.at(-1)).toBe('[DONE]');
    const error = { message: 'rows of f-grams cannot be read now', type: 'server_error', param: null, code: 'store_unavailable' };
    expect(JSON.parse(data.at(-2) ?? '')).toEqual({ error });
    expect(data.length).toBeGreaterThan(2);
    const whole = served({ failAt: (tokens) => tokens.length > 10 }).post('/v1/completions', greedy);
    expect(await errorOf(whole)).toMatchObject({ status: 503, code: 'store_unavailable', retryAfterMs: '1000' });
  });

  it('end before stop strings, wherever tokens are cut, and at stop tokens', async () => {
    const { text } = (await complete({ max_tokens: 40 })).choices[0];
    for (let at = 1; at + 3 < text.length; at += 5) {
      const stop = text.slice(at, at + 3);
      const [choice] = (await complete({ max_tokens: 40, stop: ['never', stop] })).choices;
      expect(choice).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: 'stop' });
    }
    const tokens = [...tokenizer.encode(text)];
    const [choice] = (await complete({ max_tokens: 40, stop_token_ids: [tokens[0]] })).choices;
    expect(choice.finish_reason).toBe('stop');
  });

  it('echo prompts and score them: the first token has no score, sums are those of the texts themselves', async () => {
    const tokens = [tokenizer.endOfText, ...tokenizer.encode('The café and')];
    const [echoed] = (await complete({ prompt: tokens, echo: true, logprobs: 1, max_tokens: 1 })).choices;
    const [texts] = (await complete({ prompt: 'The café and', echo: true, logprobs: 1, max_tokens: 1 })).choices;
    expect(echoed.logprobs?.token_logprobs).toEqual(texts.logprobs?.token_logprobs);
    expect(echoed.logprobs?.token_logprobs?.[0]).toBeNull();
    expect(echoed.logprobs?.top_logprobs?.[0]).toBeNull();
    expect(echoed.logprobs?.tokens).toHaveLength(tokens.length + 1);
    expect(texts.text.startsWith('The café and')).toBe(true);
    // Each token's score is that which it has when it is generated: forced by a bias, which scores do not see.
    for (const at of [1, 3, tokens.length - 1]) {
      const [forced] = (await complete({ prompt: tokens.slice(0, at), max_tokens: 1, logprobs: 0, logit_bias: { [tokens[at]]: 100 } }))
        .choices;
      expect(forced.logprobs?.token_logprobs?.[0]).toBe(echoed.logprobs?.token_logprobs?.[at]);
    }
    const whole = await complete({ prompt: tokens, echo: true, max_tokens: 0, logprobs: 0 });
    expect(whole.usage).toEqual({ prompt_tokens: tokens.length, completion_tokens: 0, total_tokens: tokens.length });
  });

  it('take prompts as text, texts, tokens and lists of tokens', async () => {
    const ids = [tokenizer.endOfText, ...tokenizer.encode('The café')];
    const texts = await Promise.all(
      ['The café', ['The café'], ids, [ids]].map(async (prompt) => (await complete({ prompt })).choices[0].text),
    );
    expect(new Set(texts).size).toBe(1);
    const many = await complete({ prompt: [ids, ids.slice(0, 2)], n: 2, seed: 3, temperature: 1 });
    expect(many.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(many.choices[0].text).not.toBe(many.choices[1].text);
  });

  it('whose client leaves free their slots, and give way when the queue is full', async () => {
    const wait = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
    for (const stream of [true, false]) {
      const { post, engine } = served({ wait, slots: 1, maxWaiting: 1 });
      const abort = new AbortController();
      const body = { ...greedy, max_tokens: 50, stream };
      const first = post('/v1/completions', body, { signal: abort.signal });
      first.catch(() => {});
      while (engine.status.steps < 3) await wait();
      const second = post('/v1/completions', { ...body, stream: false, max_tokens: 2 });
      while (engine.status.waiting < 1) await wait();
      expect(await errorOf(post('/v1/completions', body))).toMatchObject({ status: 429, code: 'queue_full', retryAfterMs: '500' });
      const { steps } = engine.status;
      abort.abort();
      expect((await second).status).toBe(200);
      // One step may have been on its way, then a prompt and a token.
      expect(engine.status.steps - steps).toBeLessThanOrEqual(4);
      await engine.drain();
      expect(engine.status).toMatchObject({ running: 0, waiting: 0 });
    }
  });
});

describe('chats', () => {
  const template = '<|endoftext|>{% for m in messages %}{{ m.role[0] + m.content }}{% endfor %}{% if add_generation_prompt %}A{% endif %}';
  const messages = [
    { role: 'system', content: 'b' },
    { role: 'user', content: [{ type: 'text', text: 'café' }] },
  ];
  const chat = { messages, temperature: 0, max_tokens: 12, ignore_eos: true };
  const { post, ask } = served({ template });
  type Chunk = { choices: { index: number; delta: { role?: string; content?: string }; finish_reason: string | null }[] };

  it('are what their template makes of them, whole and streamed', async () => {
    expect(await (await post('/apply-template', { messages })).json()).toEqual({ prompt: '<|endoftext|>sbucaféA' });
    const answer = await post('/v1/chat/completions', { ...chat, logprobs: true, top_logprobs: 2 });
    // biome-ignore lint/suspicious/noExplicitAny: as the server says
    const { object, choices, usage } = (await answer.json()) as any;
    const completion = await post('/v1/completions', {
      prompt: [tokenizer.endOfText, ...tokenizer.encode('sbucaféA')],
      temperature: 0,
      max_tokens: 12,
      ignore_eos: true,
      logprobs: 2,
    });
    // biome-ignore lint/suspicious/noExplicitAny: as the server says
    const same = (await completion.json()) as any;
    expect(object).toBe('chat.completion');
    expect(choices[0]).toMatchObject({ index: 0, finish_reason: 'length', message: { role: 'assistant', content: same.choices[0].text } });
    expect(usage).toEqual(same.usage);
    const { content } = choices[0].logprobs;
    expect(content.map(({ logprob }: { logprob: number }) => logprob)).toEqual(same.choices[0].logprobs.token_logprobs);
    for (const { top_logprobs: top } of content) expect(top).toHaveLength(2);

    const stream = await (await post('/v1/chat/completions', { ...chat, stream: true })).text();
    const data = stream
      .split('\n\n')
      .filter((event) => event !== '')
      .map((event) => event.replace('data: ', ''));
    expect(data.pop()).toBe('[DONE]');
    const parts = data.map((line) => (JSON.parse(line) as Chunk).choices[0]);
    expect(parts[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(parts.map(({ delta }) => delta.content ?? '').join('')).toBe(same.choices[0].text);
    expect(parts.at(-1)).toMatchObject({ finish_reason: 'length' });
  });

  it('go on as long as they may where nothing is said, and are refused in what is not text', async () => {
    const long = await post('/v1/chat/completions', { messages, ignore_eos: true, temperature: 0 });
    expect(((await long.json()) as { usage: { total_tokens: number } }).usage.total_tokens).toBe(64);
    const refused: [string, object][] = [
      ['messages', { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://evil.test' } }] }] }],
      ['messages', { messages: [{ role: 'tool', content: 'x' }] }],
      ['messages', { messages: [] }],
      ['tools', { tools: [{ type: 'function' }] }],
      ['response_format', { response_format: { type: 'json_object' } }],
      ['top_logprobs', { top_logprobs: 2 }],
    ];
    for (const [param, body] of refused)
      expect(await errorOf(post('/v1/chat/completions', { ...chat, ...body }))).toMatchObject({ status: 400, param });
    const strict = served({ template: "{{ raise_exception('roles must alternate') }}" });
    expect(await errorOf(strict.post('/v1/chat/completions', chat))).toMatchObject({
      status: 400,
      code: 'chat_template_failed',
      param: 'messages',
    });
    expect(await (await ask('/tokenizer_info')).json()).toMatchObject({ chat_template: template });
  });
});

describe('other routes', () => {
  const { ask, post, state } = served();

  it('tokenize and back', async () => {
    const tokens = [tokenizer.endOfText, ...tokenizer.encode('naïve 🦊')];
    const answer = await post('/tokenize', { prompt: 'naïve 🦊', return_token_strs: true });
    const { count, tokens: found, token_strs: names } = (await answer.json()) as { count: number; tokens: number[]; token_strs: string[] };
    expect({ count, found }).toEqual({ count: tokens.length, found: tokens });
    expect(names[0]).toBe('<|endoftext|>');
    expect(await (await post('/detokenize', { tokens: tokens.slice(1) })).json()).toEqual({ prompt: 'naïve 🦊' });
    expect(await errorOf(post('/detokenize', { tokens: [1e6] }))).toMatchObject({ status: 400, param: 'tokens' });
    expect(await (await ask('/tokenizer_info')).json()).toMatchObject({ eos_token: '<|endoftext|>', model_max_length: 64 });
  });

  it('say what there is not', async () => {
    const chat = post('/v1/chat/completions', { model: 'tiny', messages: [{ role: 'user', content: 'x' }] });
    expect(await errorOf(chat)).toMatchObject({ status: 404, code: 'chat_template_missing' });
    expect(await errorOf(post('/apply-template', { messages: [{ role: 'user', content: 'x' }] }))).toMatchObject({
      code: 'chat_template_missing',
    });
    expect(await errorOf(post('/v1/embeddings', {}))).toMatchObject({ status: 404, code: 'not_supported' });
    expect(await errorOf(ask('/v1/nothing'))).toMatchObject({ status: 404, code: 'route_not_found' });
    expect(await errorOf(ask('/v1/completions'))).toMatchObject({ status: 405, code: 'method_not_allowed' });
    expect(await errorOf(ask('/v1/models/other'))).toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('carry the id of a request, given or made', async () => {
    expect((await ask('/health', { headers: { 'x-request-id': 'abc-1' } })).headers.get('x-request-id')).toBe('abc-1');
    expect((await ask('/health', { headers: { 'x-request-id': 'a b' } })).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect((await ask('/nowhere')).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('count', async () => {
    await post('/v1/completions', greedy);
    const text = await (await ask('/metrics')).text();
    expect(text).toMatch(/^scone_request_success_total\{finished_reason="length"\} 1$/m);
    expect(text).toMatch(/^scone_generation_tokens_total 12$/m);
    expect(text).toMatch(/^scone_time_to_first_token_seconds_count 1$/m);
    expect(text).toMatch(/^scone_inter_token_latency_seconds_count 11$/m);
    expect(text).toMatch(/^scone_num_requests_running 0$/m);
    expect(text).toMatch(/^scone_request_queue_time_seconds_bucket\{le="0.001"\}/m);
  });

  it('describe themselves, with every parameter that is checked', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a document of many shapes
    const document = (await (await ask('/openapi.json')).json()) as any;
    const { schema } = document.paths['/v1/completions'].post.requestBody.content['application/json'];
    expect(schema.required).toEqual(['prompt']);
    for (const name of ['min_p', 'stop_token_ids', 'stream_options', 'logit_bias']) expect(schema.properties).toHaveProperty(name);
    expect(document.paths['/v1/models/{model}'].get.parameters).toHaveLength(1);
  });

  it('are ready when the model is there, and no more when the server ends', async () => {
    expect((await ask('/readyz')).status).toBe(200);
    state.isDraining = true;
    expect(await errorOf(ask('/readyz'))).toMatchObject({ status: 503, code: 'shutting_down' });
    state.isDraining = false;
    state.model = undefined;
    expect(await errorOf(ask('/readyz'))).toMatchObject({ status: 503, code: 'model_loading', retryAfterMs: '1000' });
    expect((await ask('/health')).status).toBe(200);
  });
});
