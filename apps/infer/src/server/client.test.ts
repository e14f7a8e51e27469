import { getEventListeners } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { served } from '../testing/served.js';
import { Client } from './client.js';

afterEach(() => vi.restoreAllMocks());

it.each([
  ['/v1/completions', { prompt: 'The café', max_tokens: 3 }],
  ['/v1/completions', { prompt: 'The café', max_tokens: 3, stream: true }],
  ['/inspect/generate', { prompt: 'The café', max_tokens: 3 }],
  ['/inspect/text', { text: 'The café' }],
])('%s with %j leaves nothing that listens to the request once it is answered', async (path, body) => {
  const watched: AbortSignal[] = [];
  const { watch } = Client.prototype;
  vi.spyOn(Client.prototype, 'watch').mockImplementation(function (this: Client, request) {
    watched.push(request);
    watch.call(this, request);
  });
  const response = await served().post(path, body);
  expect(response.status).toBe(200);
  expect(await response.text()).not.toBe('');
  expect(watched).toHaveLength(1);
  expect(getEventListeners(watched[0], 'abort')).toEqual([]);
});

it('leaves with its request, also with one that is gone when it is first watched', () => {
  const request = new AbortController();
  const [early, late] = [new Client(), new Client()];
  early.watch(request.signal);
  request.abort();
  late.watch(request.signal);
  expect([early.signal.aborted, late.signal.aborted]).toEqual([true, true]);
});
