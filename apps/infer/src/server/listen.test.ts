import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { served } from '../testing/served.js';
import { type Listening, listen } from './listen.js';

const open: Listening[] = [];
afterEach(async () => {
  for (const listening of open.splice(0)) await listening.close(0);
});

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function start(options: Parameters<typeof served>[0] = {}) {
  const { app, state, engine } = served(options);
  const listening = await listen(app, state, { host: '127.0.0.1', port: 0 });
  open.push(listening);
  const port = Number(new URL(listening.url).port);
  const post = (body: object, init: RequestInit = {}) =>
    fetch(`${listening.url}/v1/completions`, {
      ...init,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'a', ignore_eos: true, ...body }),
    });
  return { listening, port, engine, post };
}

/** Until it is so, or the test's time is over. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await pause(5);
}

it('clients that leave, at any time and in any form, free their slots', async () => {
  const { engine, post } = await start({ slots: 2, maxWaiting: 1000, wait: () => pause(1) });
  const left = Array.from({ length: 200 }, async (_, i) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), (i * 7) % 50);
    const response = await post({ max_tokens: 40, stream: i % 2 === 0, n: 1 + (i % 3) }, { signal: abort.signal });
    await response.text();
  });
  await Promise.allSettled(left);
  const { steps } = engine.status;
  await until(() => engine.status.running === 0 && engine.status.waiting === 0);
  expect(engine.status.steps - steps).toBeLessThan(100);
  expect((await post({ max_tokens: 2 })).status).toBe(200);
});

it('readers that never read do not hold their slots', async () => {
  const { port, engine, post } = await start({ slots: 8, maxWaiting: 1000 });
  const sockets: Socket[] = [];
  const body = JSON.stringify({ prompt: 'a', max_tokens: 60, ignore_eos: true, stream: true, n: 16, logprobs: 20 });
  for (let i = 0; i < 3; i++) {
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    sockets.push(socket);
  }
  await until(() => engine.status.generatedTokens >= 3 * 16 * 60);
  expect((await post({ max_tokens: 2 })).status).toBe(200);
  expect(engine.status).toMatchObject({ running: 0, waiting: 0 });
  for (const socket of sockets) socket.destroy();
});

it('large heads are refused, and requests that are no HTTP end', async () => {
  const { port, post } = await start();
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path: '/health', headers: { 'x-large': 'x'.repeat(64_000) } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    request.end();
  });
  expect(status).toBe(431);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('\u0000\u0001 no HTTP\r\n\r\n'));
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('close', () => resolve(text));
  });
  expect(answer).toContain('400 Bad Request');
  expect((await post({ max_tokens: 1 })).status).toBe(200);
});

it('closing lets running requests finish, ends those that are late, and takes no more', async () => {
  const { listening, engine, post } = await start({ wait: () => pause(5) });
  const running = post({ max_tokens: 20 });
  await until(() => engine.status.running === 1);
  const closed = listening.close(10_000);
  await expect(post({ max_tokens: 1 })).rejects.toThrow();
  const whole = (await (await running).json()) as { usage: { completion_tokens: number } };
  expect(whole.usage.completion_tokens).toBe(20);
  await closed;

  const other = await start({ wait: () => pause(5) });
  const late = other.post({ max_tokens: 50, stream: true });
  await until(() => other.engine.status.running === 1);
  const ended = other.listening.close(30);
  expect(await (await late).text()).toContain('"code":"shutting_down"');
  await ended;
});

it('an address that is taken is a typed error', async () => {
  const { port } = await start();
  const { app, state } = served();
  await expect(listen(app, state, { host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'SERVE_LISTEN' });
});
