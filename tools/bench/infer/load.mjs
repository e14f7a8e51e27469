/** A server under load: `scone-infer serve` as it is, and clients that stream completions one after the other, many at once. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { ROOT } from '../../setup/root.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {{ requests: number, tokens: number, errors: string[], gaps: number[], firsts: number[] }} Tally */

const SLOTS = 16;
const CLIENTS = 64;
const MAX_TOKENS = 64;
/** Of one client alone, before the load. */
const ALONE_SECONDS = 5;
/**
 * Memory is told of these parts of the time, and how much it grew between the last two. It is read every half second and goes up and down with what
 * awaits collection, so each part tells its median.
 */
const PARTS = [
  [0, 0.2],
  [0.4, 0.6],
  [0.8, 1],
];
const READ_EVERY_MS = 500;
const PROMPTS = ['The people', 'The people of the United States', 'of the', 'People of the States. The'];

const percentile = (/** @type {readonly number[]} */ xs, /** @type {number} */ share) =>
  [...xs].sort((a, b) => a - b)[Math.min(xs.length - 1, Math.floor(share * xs.length))];
const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Megabytes that are resident of a process. @param {number} pid */
const residentOf = (pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000;

/** Starts a server and waits until its model is there. @param {string} run */
async function startServer(run) {
  const main = path.join(ROOT, 'apps/infer/dist/main.js');
  const args = [main, 'serve', '--run', run, '--port', '0', '--slots', String(SLOTS), '--json'];
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  for await (const line of createInterface({ input: server.stdout })) {
    const { url } = JSON.parse(line);
    return { url, pid: /** @type {number} */ (server.pid), server, ended };
  }
  throw new Error(`serve ended with ${await ended} before its model was there`);
}

/** Makes an untrained model write letters: every token is then a piece of text, and the time between pieces is that between tokens. @param {string} url */
async function lettersOnly(url) {
  const tokens = [];
  for (const prompt of 'bcdfgjkmqvwxyz') {
    const response = await post(`${url}/tokenize`, { prompt, add_special_tokens: false });
    const answer = /** @type {{ tokens: number[] }} */ (await response.json());
    tokens.push(...answer.tokens);
  }
  return Object.fromEntries(tokens.map((token) => [token, 100]));
}

/** @param {string} url @param {object} body */
const post = (url, body) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** One completion, read to its end. @param {string} url @param {number} seed @param {object} bias @param {Tally} tally */
async function complete(url, seed, bias, tally) {
  const started = performance.now();
  const body = {
    prompt: PROMPTS[seed % PROMPTS.length],
    seed,
    max_tokens: MAX_TOKENS,
    ignore_eos: true,
    logit_bias: bias,
    stream: true,
    stream_options: { include_usage: true },
  };
  const response = await post(`${url}/v1/completions`, body);
  if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`);
  const decoder = new TextDecoder();
  let last = 0;
  let rest = '';
  let isDone = false;
  for await (const bytes of response.body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      if (line === 'data: [DONE]') {
        isDone = true;
        continue;
      }
      const { error, usage, choices = [] } = JSON.parse(line.slice('data: '.length));
      if (error !== undefined) throw new Error(JSON.stringify(error));
      if (usage) tally.tokens += usage.completion_tokens;
      if (choices.length === 0 || choices[0].text === '') continue;
      const now = performance.now();
      if (last === 0) tally.firsts.push(now - started);
      else tally.gaps.push(now - last);
      last = now;
    }
  }
  if (!isDone) throw new Error('a stream ended without [DONE]');
  tally.requests += 1;
}

/** So many clients for so many seconds, each with one request at a time. @param {string} url @param {number} clients @param {number} seconds */
async function load(url, clients, seconds) {
  /** @type {Tally} */
  const tally = { requests: 0, tokens: 0, errors: [], gaps: [], firsts: [] };
  const bias = await lettersOnly(url);
  const started = performance.now();
  const end = started + seconds * 1000;
  let seed = 0;
  const client = async () => {
    while (performance.now() < end) {
      try {
        await complete(url, seed++, bias, tally);
      } catch (error) {
        tally.errors.push(String(error));
        await wait(100);
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { ...tally, perSecond: (1000 * tally.tokens) / (performance.now() - started) };
}

/** @param {string} engine @param {string} run @param {number} seconds @param {(line: string) => void} say @returns {Promise<Measurement[]>} */
export async function measureLoad(engine, run, seconds, say) {
  const { url, pid, server, ended } = await startServer(run);
  try {
    // The first answers compile programs.
    await load(url, 1, 1);
    const alone = await load(url, 1, ALONE_SECONDS);
    say(`  one client: ${alone.perSecond.toFixed(0)} tokens/s, ${percentile(alone.gaps, 0.5).toFixed(2)} ms between tokens`);
    /** @type {number[]} */
    const readings = [];
    const reading = setInterval(() => readings.push(residentOf(pid)), READ_EVERY_MS);
    const all = await load(url, CLIENTS, seconds).finally(() => clearInterval(reading));
    const memory = PARTS.map(([from, to]) => readings.slice(Math.floor(from * readings.length), Math.ceil(to * readings.length))).map(
      (part) => ({
        lowest: Math.min(...part),
        median: percentile(part, 0.5),
        highest: Math.max(...part),
      }),
    );
    const growth = 100 * (memory[2].median / memory[1].median - 1);
    const between = [percentile(all.gaps, 0.5), percentile(all.gaps, 0.99)];
    const first = [percentile(all.firsts, 0.5), percentile(all.firsts, 0.99)];
    const failed = [...alone.errors, ...all.errors];
    const told = `${all.requests} requests, ${failed.length} errors${failed.length > 0 ? ` (${failed[0]})` : ''}, ${seconds} s`;
    const facts = { requests: all.requests, errors: failed.length, seconds, memory, betweenTokensMs: between, firstTokenMs: first };
    const row = (
      /** @type {string} */ name,
      /** @type {number} */ median,
      /** @type {string} */ unit,
      /** @type {object} */ more = {},
    ) => ({
      case: name,
      engine,
      median,
      unit,
      ...more,
    });
    return [
      row('load', all.perSecond, 'tokens/s', { facts, note: told, ...(failed.length > 0 ? { disagrees: true } : {}) }),
      row('load-between-tokens', between[0], 'ms', { note: `p99 ${between[1].toFixed(1)} ms` }),
      row('load-first-token', first[0], 'ms', { note: `p99 ${first[1].toFixed(0)} ms; ${CLIENTS - SLOTS} of ${CLIENTS} wait for a slot` }),
      row('load-memory-growth', growth, '%', {
        note: memory
          .map(({ lowest, median, highest }) => `${median.toFixed(0)} MB (${lowest.toFixed(0)} to ${highest.toFixed(0)})`)
          .join(', '),
      }),
      row('throughput-16', all.perSecond / alone.perSecond, 'times', { note: `one client alone: ${alone.perSecond.toFixed(0)} tokens/s` }),
    ];
  } finally {
    server.kill('SIGTERM');
    await ended;
  }
}
