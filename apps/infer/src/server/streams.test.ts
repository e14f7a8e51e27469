/** Streams byte for byte as they were recorded: what clients parse changes only on purpose (`vitest run -u` records anew). */
import { expect, it } from 'vitest';
import { served } from '../testing/served.js';

const TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:";

const streams: Readonly<Record<string, { path?: string; body: object; failAfter?: number; template?: string }>> = {
  completion: { body: { prompt: 'The naïve', max_tokens: 6, temperature: 0 } },
  characters: { body: { prompt: '日本', max_tokens: 24, temperature: 2, seed: 3, ignore_eos: true } },
  'stop-string': { body: { prompt: 'The naïve', max_tokens: 30, temperature: 2, seed: 1, stop: ['e', 'ai', '本'] } },
  usage: { body: { prompt: 'a', max_tokens: 2, temperature: 0, stream_options: { include_usage: true } } },
  logprobs: { body: { prompt: 'a', max_tokens: 2, temperature: 0, logprobs: 2, echo: true } },
  choices: { body: { prompt: ['a', 'b'], n: 2, max_tokens: 3, temperature: 1, seed: 4 } },
  error: { body: { prompt: 'plain words', max_tokens: 20, temperature: 0, ignore_eos: true }, failAfter: 12 },
  chat: {
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'plain words' }], max_tokens: 4, temperature: 0 },
    template: TEMPLATE,
  },
};

it.each(Object.entries(streams))('%s', async (name, { path = '/v1/completions', body, failAfter, template }) => {
  const { post, engine } = served({
    slots: 4,
    ...(failAfter === undefined ? {} : { failAt: (tokens) => tokens.length > failAfter }),
    ...(template === undefined ? {} : { template }),
  });
  const response = await post(path, { ...body, stream: true });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const text = await response.text();
  await engine.drain();
  const steady = text.replaceAll(/"id":"(cmpl|chatcmpl)-[^"]*"/g, '"id":"$1-0"').replaceAll(/"created":\d+/g, '"created":0');
  await expect(steady).toMatchFileSnapshot(`recorded/${name}.sse`);
});
