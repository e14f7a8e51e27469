/** The inspector in headless Chromium, before a server of a tiny run that asks for a key: every part, by pointer and by keyboard, hostile texts, both themes. */
import { appendFile, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runPaths } from '@sconelm/fgram-model';
import { openDevice } from '@sconelm/tensor-webgpu';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InspectedToken } from '../apps/infer/src/inspect/messages.js';
import { commandsInFolder } from './command.js';
import { expectAccessible } from './expect-accessible.js';
import { SCRIPT_PAYLOADS } from './script-payloads.js';
import { type ServerProcess, startServer } from './server-process.js';
import { button, figure, launchBrowser, missingBrowser, openPage, shownText } from './tab-page.js';
import { createTinyRun } from './tiny-run.js';

const { folder, command } = commandsInFolder();
const run = path.join(folder, 'runs/tiny');
const KEY = 'a-key-for-tests';
const PROMPT = 'The old man looked at the river';
const PARTS = ['Prompt', 'Text', 'Runs', 'F-grams', 'Store', 'Queue'];
/** What a folder may be called. */
const NAMES = SCRIPT_PAYLOADS.filter((text) => !text.includes('/'));

let server: ServerProcess;
let browser: Browser;

const metricsLine = (step: number) =>
  `${JSON.stringify({ step, tokens: step * 512, loss: 6 - step / 50, rate: 1e-3, gradientNorm: 1, ...(step % 20 === 0 ? { heldoutLoss: 6 } : {}) })}\n`;

async function fillRuns(): Promise<void> {
  const paths = runPaths(run);
  await writeFile(paths.metrics, Array.from({ length: 10 }, (_, i) => metricsLine(10 * (i + 1))).join(''));
  await writeFile(paths.samples, SCRIPT_PAYLOADS.map((text, i) => `${JSON.stringify({ step: i + 1, text })}\n`).join(''));
  const byLength = { 1: { count: 400, loss: 2000 }, 2: { count: 350, loss: 900 }, 3: { count: 250, loss: 600 } };
  await writeFile(paths.evaluation, JSON.stringify({ loss: 3.5, perplexity: Math.exp(3.5), bitsPerByte: 1.7, tokens: 1000, byLength }));
  for (const name of ['other', ...NAMES]) {
    const beside = path.join(folder, 'runs', name);
    await mkdir(beside);
    await cp(paths.config, runPaths(beside).config);
    await cp(paths.metrics, runPaths(beside).metrics);
  }
}

beforeAll(async () => {
  if (missingBrowser !== undefined) return;
  using device = await openDevice();
  await createTinyRun(device, run);
  await fillRuns();
  const options = ['--hot-rows', '3', '--cache-rows', '8', '--check', 'first-touch', '--model-name', '<img src=x onerror=ran()>'];
  [server, browser] = await Promise.all([startServer(folder, ['--run', run, ...options], KEY), launchBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  server?.process.kill('SIGKILL');
});

const heading = (page: Page, name: string) => page.getByRole('heading', { name, level: 1, exact: true });
const show = async (page: Page, part: string) => {
  await page.getByRole('link', { name: part, exact: true }).click();
  await heading(page, part).waitFor();
};
const visible = (page: Page, selector: string) => page.locator(`${selector}:visible`);
/** Of each visible element, in order. @param expression of `element`: as text, because the test runner would rewrite a function */
const each = <T>(page: Page, selector: string, expression: string): Promise<T[]> =>
  page.evaluate(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].filter((element) => element.checkVisibility()).map((element) => ${expression})`,
  );
const LENGTH = 'Number(element.dataset.length ?? 1)';

/** The page with its key given. */
async function open(from: Browser | BrowserContext = browser) {
  const opened = await openPage(server.url, from);
  opened.page.setDefaultTimeout(10_000);
  await opened.page.getByLabel('Key').fill(KEY);
  await button(opened.page, 'Open').click();
  await heading(opened.page, 'Prompt').waitFor();
  // Without its key the first answer is 401, which the console tells.
  expect(opened.trouble.splice(0)).toEqual([expect.stringContaining('401')]);
  return opened;
}

/** Writes, and waits for the end. */
async function write(page: Page, prompt: string, { tokens = 20, other = 'nothing', seed = 3 } = {}): Promise<void> {
  await page.getByLabel('What the model goes on from').fill(prompt);
  await page.getByLabel('Tokens', { exact: true }).fill(String(tokens));
  await page.getByLabel('Seed').fill(String(seed));
  await page.getByLabel('Compared with').selectOption(other);
  await button(page, 'Write').click();
  const ends = page.getByText(/^(As many tokens as were asked for|The model ended the text)/);
  await ends.nth(other === 'nothing' ? 0 : 1).waitFor();
}

async function score(page: Page, text: string): Promise<void> {
  await show(page, 'Text');
  await page.getByLabel('A text whose tokens are scored').fill(text);
  await button(page, 'Score').click();
  await page.getByText('bits per byte').first().waitFor();
}

async function ask(path: string, body?: object) {
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const response = await fetch(
    `${server.url}${path}`,
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
  );
  // biome-ignore lint/suspicious/noExplicitAny: as the server says
  return (await response.json()) as any;
}

async function explained(text: string): Promise<InspectedToken[]> {
  const { out } = await command('infer', ['explain', '--run', run, '--json', text]);
  return JSON.parse(out).tokens;
}

/** Fills every part, so that all of it is there to be checked. */
async function fillParts(page: Page): Promise<void> {
  await write(page, PROMPT, { other: '1' });
  await visible(page, '.tokens .token').nth(4).hover();
  await score(page, PROMPT);
  await page.getByLabel('Difference').check();
  await visible(page, '.tokens .token').nth(4).hover();
  await show(page, 'F-grams');
  await button(page, 'Look').click();
  await page.getByText('found among').waitFor();
}

/** At one token after the other, so that all is told of each: as many as there are payloads, and some. */
const pointAtTokens = (page: Page): Promise<void> =>
  page.evaluate(`(async () => {
    const tokens = [...document.querySelectorAll('.tokens .token')].filter((token) => token.checkVisibility());
    for (const token of tokens.slice(0, 60)) {
      token.dispatchEvent(new PointerEvent('pointerenter'));
      await new Promise(requestAnimationFrame);
    }
  })()`);

describe.skipIf(missingBrowser !== undefined)(`the inspector${missingBrowser === undefined ? '' : `: ${missingBrowser}`}`, () => {
  it('asks for a key, and keeps neither it nor prompts anywhere', async () => {
    const { page, trouble } = await openPage(server.url, browser);
    await page.getByLabel('Key').fill('wrong-key');
    await button(page, 'Open').click();
    await page.getByText('That key is not one of the server’s.').waitFor();
    await expectAccessible(page);
    await page.close();
    expect(trouble).toHaveLength(2);

    const { page: inner, trouble: none } = await open();
    const urls: string[] = [];
    inner.on('request', (request) => urls.push(request.url()));
    await write(inner, 'The canary sat on the mat');
    await score(inner, 'The canary sat on the mat');
    await show(inner, 'Queue');
    const kept = await inner.evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, history.state])');
    expect(kept).toBe(JSON.stringify([{}, {}, '', `${server.url}/#queue`, null]));
    expect(await inner.evaluate('indexedDB.databases().then((all) => all.length)')).toBe(0);
    expect(urls.filter((url) => /canary|a-key/.test(url))).toEqual([]);
    expect(server.said()).not.toContain('canary');
    await inner.reload();
    await inner.getByLabel('Key').waitFor();
    expect(none.filter((line) => !line.includes('401'))).toEqual([]);
    await inner.close();
  });

  it('is a page with a strict policy', async () => {
    const response = await fetch(server.url);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toMatch(/unsafe|data:|\*|http/);
    for (const directive of ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'"])
      expect(policy).toContain(directive);
    expect(await response.text()).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\son\w+=|https?:/);
    for (const name of ['..%2findex.html', '..%2f..%2fmain.js', 'x.js', 'index.html', '%00.js'])
      expect((await fetch(`${server.url}/assets/${name}`)).status, name).toBe(404);
  });

  it('streams tokens as the API gives them, marked by the f-gram that stood in, and tells all of each', async () => {
    const { page, trouble } = await open();
    await write(page, PROMPT);
    const { choices } = await ask('/v1/completions', { prompt: PROMPT, max_tokens: 20, temperature: 0.8, seed: 3, logprobs: 5 });
    const { tokens, token_logprobs: logprobs, top_logprobs: top } = choices[0].logprobs;
    const shown = await visible(page, '.tokens .token:not(.given)').allTextContents();
    // Bytes that are no text alone have other names in the API.
    const isText = (text: string) => !/⟨|^bytes:/.test(text);
    expect(shown.filter(isText)).toEqual(tokens.map(shownText).filter(isText));
    expect(shown).toHaveLength(tokens.length);
    const sum = logprobs.reduce((total: number, value: number) => total - value, 0);
    expect(await figure(page, 'loss, nats')).toBe(sum.toFixed(3));
    const given = await visible(page, '.token.given').count();
    const before = await explained(PROMPT);
    expect(await each(page, '.token.given', LENGTH)).toEqual(before.slice(1).map(({ fgram }) => fgram?.length ?? 1));
    for (const at of before
      .slice(1)
      .flatMap(({ fgram }, i) => (fgram === undefined ? [] : [i]))
      .slice(0, 5)) {
      await visible(page, '.tokens .token').nth(at).hover();
      const fgram = before[at + 1].fgram!;
      const told = await visible(page, '.details').textContent();
      for (const fact of [
        `f-gram“${fgram.text}”`,
        `length${fgram.length} tokens`,
        `rank${fgram.rank}`,
        `count${fgram.count}`,
        `row from`,
        'look-up',
      ])
        expect(told).toContain(fact);
      expect(told).toMatch(fgram.rank <= 3 ? /row frommemory/ : /row from(store|cache)/);
    }
    await visible(page, '.tokens .token').nth(given).hover();
    const odds = await visible(page, '.odds .number').allTextContents();
    const likeliest = Object.values(top[0] as Record<string, number>).sort((a, b) => b - a);
    expect(odds).toEqual(likeliest.slice(0, 5).map((logprob) => `${(100 * Math.exp(logprob)).toFixed(1)} %`));
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('compares continuations with f-grams, with shorter ones and without, token by token', async () => {
    const { page, trouble } = await open();
    for (const [other, name, longest] of [
      ['1', 'Without f-grams', 1],
      ['2', 'With f-grams up to 2 tokens', 2],
    ] as const) {
      await write(page, PROMPT, { other, seed: 5 });
      const lane = page.getByRole('region', { name: name.toLowerCase(), exact: true });
      expect(Math.max(...(await each<number>(page, `section[aria-label="${name.toLowerCase()}"] .token`, LENGTH)))).toBe(longest);
      const rows = await page.getByRole('region', { name: 'Token by token' }).locator('tbody tr').count();
      expect(rows).toBeGreaterThanOrEqual(await lane.locator('.token:not(.given)').count());
      await page.getByText(/^(They part at token \d+\.|The same tokens so far\.)$/).waitFor();
    }
    expect(Math.max(...(await each<number>(page, 'section[aria-label="with f-grams"] .token', LENGTH)))).toBe(3);
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('scores a text with and without f-grams as explain does, as a heat map, in bits per byte', async () => {
    const text = 'The old man looked at the river and the café.';
    const { page, trouble } = await open();
    await score(page, text);
    const tokens = (await explained(text)).slice(1);
    const bits = (of: (token: InspectedToken) => number | undefined) =>
      tokens.reduce((sum, token) => sum + (of(token) ?? 0), 0) / Math.LN2 / Buffer.byteLength(text);
    expect(await figure(page, 'bits per byte')).toBe(bits(({ loss }) => loss).toFixed(3));
    expect(await figure(page, 'without f-grams')).toBe(bits(({ lossWithout }) => lossWithout).toFixed(3));
    const shades = () =>
      each(page, '.tokens .token', "[element.style.getPropertyValue('--shade'), Number(element.style.getPropertyValue('--depth'))]");
    const depth = (nats: number, full: number) => Number(Math.min(1, nats / full).toFixed(2));
    expect(await shades()).toEqual(tokens.map(({ loss = 0 }) => ['var(--loss)', depth(loss, 8)]));
    await page.getByLabel('Loss without').check();
    expect(await shades()).toEqual(tokens.map(({ lossWithout = 0 }) => ['var(--loss)', depth(lossWithout, 8)]));
    await page.getByLabel('Difference').check();
    const gains = tokens.map(({ loss = 0, lossWithout = 0 }) => lossWithout - loss);
    expect(await shades()).toEqual(gains.map((gain) => [gain > 0 ? 'var(--help)' : 'var(--hurt)', depth(Math.abs(gain), 2)]));
    for (const name of ['Helped most', 'Hurt most'])
      expect(await page.getByRole('region', { name, exact: true }).locator('tbody tr').count()).toBeGreaterThan(0);
    // Longer than the context.
    await score(page, text.repeat(4));
    await page.getByText('cut into windows of 64 tokens').waitFor();
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('shows runs that are being trained, several at once, with their samples', async () => {
    const { page, trouble } = await open();
    await show(page, 'Runs');
    await page.getByText('tiny: step 100, 51,200 tokens').waitFor();
    await page.getByLabel('other').check();
    await page.getByText('other: step 100').waitFor();
    const charts = page.locator('svg.chart:visible');
    expect(await charts.count()).toBe(4);
    for (const chart of await charts.all()) expect(await chart.locator('polyline').count()).toBe(2);
    await appendFile(runPaths(run).metrics, metricsLine(110));
    await page.getByText('tiny: step 110, 56,320 tokens').waitFor();
    expect(await page.locator('.sample').textContent()).toBe(SCRIPT_PAYLOADS.at(-1));
    await page.getByRole('slider').fill('0');
    expect(await page.locator('.sample').textContent()).toBe(SCRIPT_PAYLOADS.at(-40));
    await page.getByRole('cell', { name: '33.12' }).waitFor();
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('finds f-grams by text and by rank, and says what the set is made of', async () => {
    const { page, trouble } = await open();
    await show(page, 'F-grams');
    const { size, minCount, byLength } = await ask('/inspect/fgrams');
    await page.getByText('Count by rank').waitFor();
    expect(await figure(page, 'f-grams')).toBe(String(size));
    expect(await figure(page, 'cut-off count')).toBe(String(minCount));
    expect(await figure(page, 'of held-out places covered')).toBe('60.0 %');
    await page.getByRole('row', { name: `2 ${byLength['2']}` }).waitFor();
    await page.getByLabel('Text that they hold').fill('RIV');
    await button(page, 'Look').click();
    await page.getByText('found among').waitFor();
    const rows = await page.getByRole('region', { name: 'F-grams by rank' }).locator('tbody td.words').allTextContents();
    expect(rows.length).toBeGreaterThan(0);
    for (const text of rows) expect(text).toMatch(/riv/i);
    await page.getByLabel('Text that they hold').fill('');
    await page.getByLabel('From rank').fill('5');
    await button(page, 'Look').click();
    await page.getByRole('region', { name: 'F-grams by rank' }).locator('tbody th').first().getByText('5', { exact: true }).waitFor();
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('counts what the store and the queue do', async () => {
    const { page, trouble } = await open();
    await write(page, PROMPT);
    await show(page, 'Store');
    const { store, queue } = await ask('/inspect/status');
    await page.getByText(`${store.metrics.verifiedRows} of ${store.rows} rows`).waitFor();
    expect(store.metrics.verifiedRows).toBeGreaterThan(0);
    expect(await figure(page, 'rows in memory')).toBe('3');
    await page.getByRole('row', { name: new RegExp(`^memory ${store.metrics.hotHits} `) }).waitFor();
    expect(await page.getByRole('table', { name: 'Reads by how long they took' }).locator('tbody tr').count()).toBeGreaterThan(0);
    await button(page, 'Compare all').click();
    await page.getByText(`${store.rows} of ${store.rows} rows were compared with their checksums and matched.`).waitFor();
    await show(page, 'Queue');
    // The page asks now and then.
    await expect.poll(() => figure(page, 'running'), { timeout: 30_000 }).toBe(`0 of ${queue.slots}`);
    await expect.poll(() => figure(page, 'generated tokens'), { timeout: 30_000 }).toBe(String(queue.generatedTokens));
    await page.locator('svg.chart:visible polyline').first().waitFor({ state: 'attached' });
    expect(trouble).toEqual([]);
    await page.close();
  });

  it('says what is wrong where it is wrong', async () => {
    const { page } = await open();
    await page.getByLabel('What the model goes on from').fill(PROMPT.repeat(9));
    await button(page, 'Write').click();
    await page.getByRole('alert').getByText('Use a shorter prompt').waitFor();
    await page.close();
  });

  it('can be used by keyboard alone', async () => {
    const { page, trouble } = await openPage(server.url, browser);
    trouble.length = 0;
    const tabTo = async (what: string) => {
      for (let stop = 0; stop < 80; stop++) {
        if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(what)})`)) return;
        await page.keyboard.press('Tab');
      }
      throw new Error(`no way to ${what} by the Tab key`);
    };
    await page.getByLabel('Key').waitFor();
    await tabTo('#key');
    await page.keyboard.type(KEY);
    await page.keyboard.press('Enter');
    await heading(page, 'Prompt').waitFor();
    await tabTo('.skip');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
    await tabTo('#prompt');
    await page.keyboard.type(PROMPT);
    await tabTo('#other');
    await page.keyboard.type('of');
    await tabTo('button.primary');
    await page.keyboard.press('Enter');
    await page
      .getByText(/^As many tokens|^The model ended/)
      .nth(1)
      .waitFor();
    await tabTo('.tokens');
    await page.keyboard.press('End');
    await page.keyboard.press('ArrowLeft');
    const index = await page.evaluate(
      "[...document.activeElement.querySelectorAll('.token')].findIndex((token) => token.matches('.active'))",
    );
    expect(index).toBe((await page.getByRole('listbox').first().locator('.token').count()) - 2);
    expect(await visible(page, '.details').textContent()).toContain('Likeliest here');
    for (const part of PARTS) {
      await tabTo(`nav a[href="#${part.toLowerCase().replace('-', '')}"]`);
      await page.keyboard.press('Enter');
      await heading(page, part).waitFor();
    }
    await tabTo('nav a[href="#runs"]');
    await page.keyboard.press('Enter');
    await page.locator('svg.chart:visible').first().waitFor();
    await tabTo('svg.chart');
    await page.keyboard.press('Home');
    await page.getByText('at 5.12K training tokens').waitFor();
    expect(trouble.filter((line) => !line.includes('401'))).toEqual([]);
    await page.close();
  });

  it.each([
    ['light', 360],
    ['dark', 1200],
  ] as const)('has nothing that axe finds in %s at %i pixels, and does not scroll sideways', async (colorScheme, width) => {
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
    const { page, trouble } = await open(context);
    await fillParts(page);
    for (const part of PARTS) {
      await show(page, part);
      if (part === 'Runs') await page.locator('svg.chart:visible').first().waitFor();
      await expectAccessible(page);
      expect(await page.evaluate('document.documentElement.scrollWidth'), part).toBeLessThanOrEqual(width);
    }
    const ground = { light: 'rgb(251, 250, 247)', dark: 'rgb(22, 21, 19)' };
    // Asked from outside: the page's policy lets nothing in it evaluate text.
    const seen = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(await seen()).toBe(ground[colorScheme]);
    const other = colorScheme === 'light' ? 'dark' : 'light';
    await page.getByLabel('Theme').selectOption(other);
    await expect.poll(seen, { timeout: 30_000 }).toBe(ground[other]);
    expect(trouble).toEqual([]);
    await context.close();
  });

  // Without its policy too: what the page does has to do alone what the policy does once more.
  it.each([true, false])(
    'runs no script of 40 in prompts, outputs, f-grams, names of runs and of the model, with its policy: %s',
    async (hasPolicy) => {
      expect(SCRIPT_PAYLOADS).toHaveLength(40);
      const context = await browser.newContext();
      await context.addInitScript('window.ran = () => { window.hasRun = true; }');
      if (!hasPolicy) {
        await context.route(`${server.url}/`, async (route) => {
          const response = await route.fetch();
          const { 'content-security-policy': _, ...headers } = response.headers();
          await route.fulfill({ response, headers });
        });
      }
      // Every text of an answer is a payload.
      let next = 0;
      const replace = (key: string, value: unknown) =>
        ['text', 'tier', 'message', 'hash', 'scheme'].includes(key) && typeof value === 'string'
          ? SCRIPT_PAYLOADS[next++ % SCRIPT_PAYLOADS.length]
          : value;
      await context.route(/\/inspect\/(generate|text|fgrams|status)$/, async (route) => {
        const response = await route.fetch();
        const lines = (await response.text()).split('\n').map((line) => (line === '' ? '' : JSON.stringify(JSON.parse(line, replace))));
        await route.fulfill({ response, body: lines.join('\n') });
      });
      const { page, trouble } = await open(context);
      expect(await page.locator('.model').textContent()).toBe('<img src=x onerror=ran()>');
      await write(page, '<img src=x onerror=ran()>', { other: '1', tokens: 30 });
      await pointAtTokens(page);
      await score(page, SCRIPT_PAYLOADS.join('\n'));
      await pointAtTokens(page);
      await show(page, 'Runs');
      await page.getByLabel('other').waitFor();
      const names = await each<string>(page, 'input[type=checkbox]', 'element.parentElement.textContent.trim()');
      expect(names).toEqual(expect.arrayContaining(NAMES));
      for (const name of NAMES) await page.getByLabel(name, { exact: true }).check();
      await page.getByText(`${NAMES[0]}: step`).waitFor();
      for (let i = 0; i < 40; i++) {
        await page.getByRole('slider').fill(String(i));
        expect(await page.locator('.sample').textContent()).toBe(SCRIPT_PAYLOADS[i]);
      }
      await show(page, 'F-grams');
      await page.getByLabel('Text that they hold').fill('<img src=x onerror=ran()>');
      await button(page, 'Look').click();
      await page.getByText('found among').waitFor();
      await page.getByLabel('Text that they hold').fill('');
      await button(page, 'Look').click();
      await page.getByRole('region', { name: 'F-grams by rank' }).waitFor();
      await show(page, 'Store');
      expect(await page.evaluate('window.hasRun')).toBeUndefined();
      expect(
        await page.evaluate(
          "document.querySelectorAll('body :is(script, img, iframe, object, embed, base, link, video, style, math, [onload], [onfocus], [onerror])').length",
        ),
      ).toBe(0);
      expect(trouble).toEqual([]);
      // The page asks now and then; a question under way has nobody to answer it any more.
      await context.unrouteAll({ behavior: 'ignoreErrors' });
      await context.close();
    },
  );
});
