import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { served } from '../testing/served.js';
import { Client } from './client.js';

/** What listens to a request when it is answered. */
async function listenersAfter(path: string, body: object): Promise<number> {
  const { app } = served();
  const headers = { host: 'localhost', 'content-type': 'application/json' };
  const request = new Request(`http://localhost${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const response = await app.fetch(request);
  expect(response.status).toBeLessThan(500);
  expect(await response.text()).not.toBe('');
  return getEventListeners(request.signal, 'abort').length;
}

it.each([
  ['/v1/completions', { prompt: 'The café', max_tokens: 3 }],
  ['/v1/completions', { prompt: 'The café', max_tokens: 3, stream: true }],
  ['/inspect/generate', { prompt: 'The café', max_tokens: 3 }],
  ['/inspect/text', { text: 'The café' }],
])('%s with %j leaves nothing that listens to the request once it is answered', async (path, body) => {
  // The framework's own copies of a request listen too: as many as where nothing was started.
  const others = await listenersAfter('/v1/completions', { prompt: 'The café', top_p: 7 });
  expect(await listenersAfter(path, body)).toBe(others);
});

it('leaves with its request, also with one that is gone when it is first watched', () => {
  const request = new AbortController();
  const [early, late] = [new Client(), new Client()];
  early.watch(request.signal);
  request.abort();
  late.watch(request.signal);
  expect([early.signal.aborted, late.signal.aborted]).toEqual([true, true]);
});
