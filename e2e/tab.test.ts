/** A published model in a real tab, behind a plain static server: what it writes, shows and loads. */
import { readFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { decoderShapes, saveCheckpoint } from '@sconelm/decoder';
import { openModel, publishCheckpoint, readRunManifest, runPaths, writeRunManifest } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TokenMatch } from '../apps/infer/src/matches.js';
import { formatBytes } from '../apps/infer/web/components/format.js';
import { type StaticServer, serveStatic } from '../tools/static-server.mjs';
import { commandsInFolder } from './command.js';
import {
  button,
  figure,
  launchBrowser,
  load,
  type MarkedToken,
  missingBrowser,
  openPage,
  POLICY,
  shownText,
  WEBGPU,
  write,
} from './tab-page.js';
import { createTinyRun } from './tiny-run.js';

const { folder, command } = commandsInFolder();
const run = path.join(folder, 'runs/tiny');
const site = path.join(folder, 'site');
const PROMPT = 'The old man looked at the river';
const servers: StaticServer[] = [];
let server: StaticServer;
let browser: Browser;

async function serve(directory: string): Promise<StaticServer> {
  const served = await serveStatic(directory, { 'content-security-policy': POLICY });
  servers.push(served);
  return served;
}

/** What the command line writes, as the page shows it: 30 tokens, the prompt before them. */
async function expectedTokens(...args: string[]): Promise<{ readonly shown: MarkedToken[]; readonly tokens: readonly TokenMatch[] }> {
  const { out } = await command('infer', ['generate', '--prompt', PROMPT, '--max-tokens', '30', '--json', ...args]);
  const { prompt, generated } = JSON.parse(out);
  const tokens: TokenMatch[] = [...prompt.slice(1), ...generated];
  const shown = tokens.map(({ text, fgram }, i) => ({
    text: shownText(text),
    ...(fgram === undefined ? {} : { length: fgram.length }),
    given: i < prompt.length - 1,
  }));
  return { shown, tokens };
}

/** The decoder of a run alone, its weights rounded to sixteen bits. */
async function createPlainRun(of: string, directory: string): Promise<void> {
  using device = await openDevice();
  using model = await openModel(device, of);
  const { decoder } = model.config;
  const { tokenizer, training } = await readRunManifest(of);
  await mkdir(directory, { recursive: true });
  await cp(runPaths(of).tokenizer, runPaths(directory).tokenizer);
  await writeRunManifest(directory, { model: { decoder }, tokenizer, training });
  const variables = model.variables.filter(({ name }) => Object.hasOwn(decoderShapes(decoder), name));
  const write = (aside: string) => saveCheckpoint(path.join(aside, 'model.safetensors'), variables, {}, { dtype: 'F16' });
  await publishCheckpoint(directory, 1, write, { last: 1 });
}

beforeAll(async () => {
  if (missingBrowser !== undefined) return;
  using device = await openDevice();
  await createTinyRun(device, run);
  expect(await command('infer', ['publish', run, site])).toMatchObject({ code: 0 });
  server = await serve(site);
  browser = await launchBrowser(...WEBGPU);
});
afterAll(async () => {
  await browser?.close();
  for (const served of servers) served.close();
});

afterEach(() => {
  expect(servers.flatMap(({ reports }) => reports)).toEqual([]);
});

describe.skipIf(missingBrowser !== undefined)(
  `a published model in the tab${missingBrowser === undefined ? '' : `: ${missingBrowser}`}`,
  () => {
    it('writes the tokens of the command line, marked alike, and counts what it loads', async () => {
      const { page, trouble } = await openPage(server.url, browser);
      server.seen.length = 0;
      await load(page);
      for (const [seed, temperature] of [
        ['3', '0.9'],
        ['4', '0'],
      ]) {
        const { shown, tokens } = await expectedTokens('--run', run, '--seed', seed, '--temperature', temperature);
        expect(await write(page, { Prompt: PROMPT, Seed: seed, Temperature: temperature, Tokens: '30' })).toEqual(shown);
        const at = tokens.findIndex(({ fgram }) => fgram?.length === 3);
        await page.locator('.tokens .token').nth(at).hover();
        const { id, count, text } = tokens[at].fgram!;
        const details = await page.locator('.details').textContent();
        for (const fact of [`f-gram“${text}”`, 'length3 tokens', `rank${id + 1}`, `count${count}`]) expect(details).toContain(fact);
        await page.locator('.tokens .token').last().hover();
        expect(await page.locator('.odds li').count()).toBe(5);
      }
      const { files, fgrams } = JSON.parse(readFileSync(path.join(site, 'model.json'), 'utf8'));
      expect(await figure(page, 'the whole table')).toBe(formatBytes(fgrams.rows * fgrams.rowBytes));
      const ofRows = server.seen.filter((request) => request.path.startsWith('/rows/'));
      expect(await figure(page, 'requests for rows')).toBe(String(ofRows.length));
      const rowBytes = ofRows.reduce((sum, { bytes }) => sum + bytes, 0);
      expect(await figure(page, 'of it rows')).toBe(formatBytes(rowBytes));
      const ofModel = ['decoder.safetensors', 'tokenizer.json', 'fgrams/fgrams.json', 'fgrams/fgrams.bin'];
      expect(await figure(page, 'loaded')).toBe(formatBytes(rowBytes + ofModel.reduce((sum, name) => sum + files[name].bytes, 0)));
      // Plain requests, of one range at most, without a header that would have to be asked for first.
      expect(server.seen.filter(({ method }) => method !== 'GET')).toEqual([]);
      const usual =
        /^(host|connection|origin|referer|range|accept|accept-encoding|accept-language|user-agent|sec-.*|cache-control|pragma)$/;
      expect(server.seen.flatMap(({ headers }) => headers).filter((name) => !usual.test(name))).toEqual([]);
      for (const { path: name, headers } of ofRows) expect(headers.includes('range'), name).toBe(!name.endsWith('.json'));
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('ends with the context or when it is stopped, and says what is too long', async () => {
      const { page, trouble } = await openPage(server.url, browser);
      await load(page);
      await page.getByLabel('Prompt').fill(PROMPT.repeat(9));
      await button(page, 'Write').click();
      await page.getByRole('alert').getByText('Use a shorter prompt.').waitFor();
      expect(await write(page, { Prompt: PROMPT, Tokens: '63' })).toHaveLength(63);
      await button(page, 'Unload the model').click();
      await load(page);
      // Rows come late, and none has been read.
      server.delayMs = 5000;
      await page.getByLabel('Prompt').fill(PROMPT);
      await button(page, 'Write').click();
      await button(page, 'Stop').click();
      await page.getByText('Stopped.').waitFor();
      server.delayMs = 0;
      expect(await page.locator('.tokens .token').count()).toBeLessThan(63);
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('runs weights and rows of eight bits as the command line does', async () => {
      const small = path.join(folder, 'small');
      expect(await command('infer', ['publish', run, small, '--weights', 'int8', '--rows', 'int8'])).toMatchObject({ code: 0 });
      const { page, trouble } = await openPage((await serve(small)).url, browser);
      await load(page);
      const { shown } = await expectedTokens('--run', run, '--weights', 'int8', '--seed', '5', '--store', `file:${small}/rows`);
      expect(await write(page, { Prompt: PROMPT, Seed: '5', Tokens: '30' })).toEqual(shown);
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('runs a plain decoder with weights of sixteen bits as the command line runs one of such weights', async () => {
      const plain = path.join(folder, 'runs/plain');
      await createPlainRun(run, plain);
      const directory = path.join(folder, 'plain');
      expect(await command('infer', ['publish', plain, directory, '--weights', 'f16'])).toMatchObject({ code: 0 });
      const { page, trouble } = await openPage((await serve(directory)).url, browser);
      await load(page);
      const { shown } = await expectedTokens('--run', plain, '--seed', '6');
      expect(await write(page, { Prompt: PROMPT, Seed: '6', Tokens: '30' })).toEqual(shown);
      expect(await page.getByText('the whole table').count()).toBe(0);
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('keeps the model for the next visit, and goes on without where there is no room', async () => {
      const context = await browser.newContext();
      const visits = [];
      for (const visit of [1, 2]) {
        server.seen.length = 0;
        const { page, trouble } = await openPage(server.url, context);
        await load(page);
        const asked = server.seen.map((request) => request.path).filter((name) => /safetensors|tokenizer|fgrams/.test(name));
        expect(asked, `visit ${visit}`).toHaveLength(visit === 1 ? 4 : 0);
        expect(await page.getByText('from this browser’s cache').count()).toBe(visit - 1);
        visits.push(await write(page, { Prompt: PROMPT, Tokens: '20' }));
        expect(trouble).toEqual([]);
        await page.close();
      }
      expect(visits[1]).toEqual(visits[0]);
      await context.close();

      const { page, trouble } = await openPage(server.url, browser);
      const debug = await page.context().newCDPSession(page);
      await debug.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: 1000 });
      await load(page);
      await page.getByText(/The model is not kept for your next visit: .*quota/i).waitFor();
      expect(await write(page, { Prompt: PROMPT, Tokens: '20' })).toEqual(visits[0]);
      expect(trouble).toEqual([]);
      await page.close();
    });
  },
);
