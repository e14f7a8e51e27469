/** scone-infer serve as a process, asked by the clients people have. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { evaluate, openModel, runPaths } from '@sconelm/fgram-model';
import { openFgrams, Tokenizer } from '@sconelm/ngram-miner';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureDependencies } from '../tools/setup/dependencies.mjs';
import { ROOT } from '../tools/setup/root.mjs';
import { commandsInFolder } from './command.js';
import { type ServerProcess, startServer } from './server-process.js';
import { createTinyRun, TEXT } from './tiny-run.js';

const { folder, command } = commandsInFolder();
const run = path.join(folder, 'runs/tiny');
const CLIENTS = path.join(ROOT, 'e2e/clients');
const KEY = 'a-key-for-tests';

const servers: ServerProcess[] = [];

async function serve(...args: string[]): Promise<ServerProcess> {
  const started = await startServer(folder, ['--run', run, ...args], KEY);
  servers.push(started);
  return started;
}

/** A package of e2e/clients. */
// biome-ignore lint/suspicious/noExplicitAny: packages that the workspace has no types of
const client = (name: string): Promise<any> => import(createRequire(path.join(CLIENTS, 'package.json')).resolve(name));

let server: ServerProcess;
beforeAll(async () => {
  await ensureDependencies(CLIENTS);
  using device = await openDevice();
  await createTinyRun(device, run);
  server = await serve();
});
afterAll(() => {
  for (const { process: child } of servers) child.kill('SIGKILL');
});

const post = async (body: object, path = '/v1/completions', url = server.url) => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${KEY}` };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  // biome-ignore lint/suspicious/noExplicitAny: as the server says
  return { status: response.status, body: (await response.json()) as any };
};

describe('clients', () => {
  it('openai: models, completions, streams, errors, and leaving', async () => {
    const { OpenAI, APIError, AuthenticationError } = await client('openai');
    const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const models = await openai.models.list();
    expect(models.data[0]).toMatchObject({ id: 'tiny', fgrams: { max_length: 3 }, rows: { dtype: 'f32' } });
    const request = { model: 'tiny', prompt: 'The old man', max_tokens: 20, seed: 4 };
    const whole = await openai.completions.create(request);
    expect(whole.usage).toMatchObject({ completion_tokens: whole.choices[0].finish_reason === 'length' ? 20 : expect.any(Number) });
    let text = '';
    let usage: unknown;
    for await (const chunk of await openai.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
      text += chunk.choices[0]?.text ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe(whole.choices[0].text);
    expect(usage).toEqual(whole.usage);
    const refused = await openai.completions.create({ ...request, max_tokens: 1000 }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(APIError);
    expect(refused).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'prompt', requestID: expect.any(String) });
    const stranger = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'another', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(AuthenticationError);
    const left = await openai.completions.create({ ...request, max_tokens: 50, stream: true });
    for await (const _ of left) break;
    for (let i = 0; ; i++) {
      const metrics = await (await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${KEY}` } })).text();
      if (/^scone_num_requests_running 0$/m.test(metrics)) break;
      expect(i).toBeLessThan(100);
    }
  });

  it('@ai-sdk/openai-compatible: text as a whole and streamed', async () => {
    const { createOpenAICompatible } = await client('@ai-sdk/openai-compatible');
    const { generateText, streamText } = await client('ai');
    const model = createOpenAICompatible({ name: 'scone', baseURL: `${server.url}/v1`, apiKey: KEY, includeUsage: true }).completionModel(
      'tiny',
    );
    const request = { model, prompt: 'The old man', maxOutputTokens: 12, temperature: 0, maxRetries: 0 };
    const whole = await generateText(request);
    expect(whole.usage.outputTokens).toBeGreaterThan(0);
    const streamed = streamText(request);
    let text = '';
    for await (const piece of streamed.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect((await streamed.usage).outputTokens).toBe(whole.usage.outputTokens);
  });
});

describe('evaluators', () => {
  it('lm-evaluation-harness, local-completions: sums of log-probabilities are those of evaluation', async () => {
    using device = await openDevice();
    using model = await openModel(device, run);
    const paths = runPaths(run);
    const tokenizer = Tokenizer.parse(await readFile(paths.tokenizer, 'utf8'));
    const set = await openFgrams(paths.fgrams);
    await using rows = await openStore(`file:${paths.rows}`);
    const tokens = [tokenizer.endOfText, ...tokenizer.encode(TEXT)];
    // Windows of half the context: evaluation's targets reach one token further than its windows, and a prompt must leave room for one more.
    const T = 32;
    const windows = [0, 1, 2].map((i) => tokens.slice(i * T, (i + 1) * T + 1));
    const config = { ...model.config, decoder: { ...model.config.decoder, contextLength: T } };
    // The payload of lm_eval/models/openai_completions.py.
    const payload = { model: 'tiny', temperature: 0, max_tokens: 1, logprobs: 1, seed: 1234, echo: true };
    const { status, body } = await post({ ...payload, prompt: windows });
    expect(status).toBe(200);
    for (const [i, window] of windows.entries()) {
      const { loss } = await evaluate(device, { ...model, config, parameters: model.parameters }, window, {
        matcher: set.matcher(tokenizer.endOfText),
        rows,
      });
      const choice = body.choices.find(({ index }: { index: number }) => index === i);
      const { token_logprobs: logprobs, top_logprobs: top } = choice.logprobs;
      expect(logprobs[0]).toBeNull();
      expect(logprobs).toHaveLength(T + 2);
      // As parse_logprobs does: the context's part is left out, and the token that was generated.
      const sum = logprobs.slice(1, -1).reduce((total: number, logprob: number) => total + logprob, 0);
      expect(Math.abs(sum / T + loss)).toBeLessThan(1e-5);
      for (const [at, logprob] of logprobs.slice(1, -1).entries())
        expect(Math.max(...(Object.values(top[at + 1]) as number[]))).toBeGreaterThanOrEqual(logprob);
    }
    const info = await (await fetch(`${server.url}/tokenizer_info`, { headers: { authorization: `Bearer ${KEY}` } })).json();
    expect(info).toMatchObject({ eos_token: '<|endoftext|>' });
  });
});

describe('the process', () => {
  it('gives the same tokens to each alone and to many at once, whatever the chunks of their prompts', async () => {
    const other = await serve('--chunk', '5', '--slots', '3');
    const request = (i: number) => ({ prompt: TEXT.slice(i * 7, i * 7 + 60), max_tokens: 6, temperature: i % 2, seed: i, logprobs: 1 });
    const together = await Promise.all(Array.from({ length: 6 }, (_, i) => post(request(i), '/v1/completions', other.url)));
    for (const [i, { body }] of together.entries()) expect(body.choices).toEqual((await post(request(i))).body.choices);
  });

  it('lets running requests finish when it is told to end, and says nothing of prompts', async () => {
    const ending = await serve();
    const canary = 'canary-8d1f';
    const response = await fetch(`${ending.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${KEY}` },
      body: JSON.stringify({ prompt: canary, max_tokens: 30, ignore_eos: true, stream: true }),
    });
    await post({ prompt: canary, n: 'x' }, '/v1/completions', ending.url);
    ending.process.kill('SIGTERM');
    const text = await response.text();
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(text).toContain('"finish_reason":"length"');
    expect(await ending.exit).toBe(0);
    await expect(fetch(`${ending.url}/health`)).rejects.toThrow();
    expect(ending.said()).not.toContain(canary);
  });

  it('is not opened to others without a key', async () => {
    const open = (...args: string[]) =>
      command('infer', ['serve', '--run', run, '--host', '0.0.0.0', '--port', '0', ...args], { env: { SCONE_INFER_API_KEY: '' } });
    expect(await open()).toMatchObject({ code: 1, err: expect.stringContaining('can be reached from other machines') });
    expect(await open('--api-key-file', 'nowhere')).toMatchObject({ code: 1, err: expect.stringContaining('cannot be read') });
  });
});

it('generate without a store: rows are computed when they are first wanted, and read the next time', async () => {
  const bare = path.join(folder, 'bare');
  await cp(run, bare, { recursive: true });
  await rm(path.join(bare, 'rows'), { recursive: true });
  const generate = (directory: string, ...more: string[]) =>
    command('infer', ['generate', 'The old man', '--run', directory, '--max-tokens', '12', '--temperature', '0', '--json', ...more]);
  const textOf = async (...given: Parameters<typeof generate>) => JSON.parse((await generate(...given)).out).text;
  const failed = await generate(bare);
  expect(failed.code).toBe(1);
  expect(failed.err).toContain('manifest.json does not exist');
  const planOf = async (...args: string[]) => JSON.parse((await command('infer', ['serve', '--dry-run', '--json', '--run', ...args])).out);
  const [plain, checked, filled] = [
    await planOf(run),
    await planOf(run, '--verify-rows', '1%'),
    await planOf(bare, '--missing-rows', 'recompute'),
  ];
  expect(checked.weightBytes).toBeGreaterThan(plain.weightBytes);
  expect(filled).toEqual(checked);
  for (let time = 0; time < 2; time++) expect(await textOf(bare, '--missing-rows', 'recompute')).toBe(await textOf(run));
});

it('generate: files and stop strings, and what each token was made from', async () => {
  const args = [
    'generate',
    '--run',
    run,
    '--prompt',
    'The old man',
    '--max-tokens',
    '8',
    '--temperature',
    '0',
    '--json',
    '--logprobs',
    '2',
  ];
  const { generated, prompt, text } = JSON.parse((await command('infer', args)).out);
  expect(prompt.at(-1).fgram).toMatchObject({ length: expect.any(Number), count: expect.any(Number) });
  expect(generated).toHaveLength(8);
  for (const { logProbability, top } of generated) expect(top[0].logProbability).toBe(logProbability);
  const stop = text.slice('The old man'.length + 3, 'The old man'.length + 6);
  const stopped = JSON.parse((await command('infer', [...args, '--stop', stop])).out);
  expect(stopped).toMatchObject({ finish: 'stop' });
  expect(text.startsWith(stopped.text)).toBe(true);
});

it('chat: answers line by line, each to all that was said before', async () => {
  const args = ['chat', '--run', path.join(folder, 'talking'), '--max-tokens', '5', '--temperature', '0', '--json'];
  await cp(run, args[2], { recursive: true });
  const silent = await command('infer', args, { input: 'hello\n' });
  expect(silent.code).toBe(1);
  expect(silent.err).toContain('has no chat template');
  const template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}";
  await writeFile(path.join(args[2], 'chat_template.jinja'), template);
  const { messages } = JSON.parse((await command('infer', [...args, '--system', 'the'], { input: 'old\n\ncat\n' })).out);
  expect(messages.map(({ role }: { role: string }) => role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant']);
  const prompt = messages
    .slice(0, 4)
    .map(({ content }: { content: string }) => `${content}\n`)
    .join('');
  const tokens = (await post({ prompt, add_special_tokens: false }, '/tokenize')).body.tokens;
  const alone = await post({ prompt: tokens, max_tokens: 5, temperature: 0 });
  expect(messages[4].content).toBe(alone.body.choices[0].text);
});

it('bench: one sequence and several, with f-grams and without', async () => {
  const sizes = ['--sequences', '3', '--prompt-tokens', '9', '--tokens', '4', '--rounds', '1'];
  const args = ['bench', '--run', run, ...sizes, '--json'];
  const { results } = JSON.parse((await command('infer', args)).out);
  const measured = results.map(({ batch, fgrams, decodeTokensPerSecond }: Record<string, unknown>) => [
    batch,
    fgrams,
    Number(decodeTokensPerSecond) > 0,
  ]);
  expect(measured).toEqual([
    [1, true, true],
    [1, false, true],
    [3, true, true],
    [3, false, true],
  ]);
});

it('generate and eval with quantised weights', async () => {
  await writeFile(path.join(folder, 'text.txt'), TEXT.repeat(3));
  const perplexity = async (weights: string) =>
    JSON.parse((await command('infer', ['eval', '--run', run, '--text', 'text.txt', '--weights', weights, '--json'])).out).perplexity;
  const [f32, int8, int4] = [await perplexity('f32'), await perplexity('int8'), await perplexity('int4')];
  expect(int8).not.toBe(f32);
  expect(Math.abs(Math.log(int8 / f32))).toBeLessThan(0.01);
  expect(Math.abs(Math.log(int4 / f32))).toBeLessThan(0.2);
  const args = [
    'generate',
    '--run',
    run,
    '--prompt',
    'The old man',
    '--max-tokens',
    '4',
    '--weights',
    'int4',
    '--damaged-rows',
    'recompute',
    '--json',
  ];
  expect(JSON.parse((await command('infer', args)).out).generated).toHaveLength(4);
});
