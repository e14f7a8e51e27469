/** Our pages in a real browser: nothing in them runs or loads, anyone can read them, on a phone too. */

import { FGRAM_CLASSES, type FgramStatistics, visibleText } from '@sconelm/ngram-miner';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBrowser } from '../../../../tools/setup/browser.mjs';
import { statisticsPage } from '../fgrams/render-statistics.js';
import { renderReport } from '../run/report.js';
import type { RunEvaluation } from '../run/summary.js';

const RUN = 'window.ran=1';
const PAYLOADS = [
  `<script>${RUN}</script>`,
  `</script><script>${RUN}</script>`,
  `</title><script>${RUN}</script>`,
  `</style><script>${RUN}</script>`,
  `</textarea><script>${RUN}</script>`,
  `<!--><script>${RUN}</script>-->`,
  `]]><script>${RUN}</script>`,
  `<img src=x onerror=${RUN}>`,
  `<img src=https://evil.test/x.png>`,
  `<svg onload=${RUN}>`,
  `<svg><script>${RUN}</script></svg>`,
  `</svg><img src=x onerror=${RUN}>`,
  `<math><mtext></mtext><img src=x onerror=${RUN}></math>`,
  `"><script>${RUN}</script>`,
  `'><script>${RUN}</script>`,
  `" onfocus="${RUN}" autofocus tabindex="1`,
  `' onmouseover='${RUN}`,
  `<iframe srcdoc="<script>parent.ran=1</script>">`,
  `<iframe src="javascript:parent.ran=1">`,
  `<object data="javascript:${RUN}">`,
  `<embed src="https://evil.test/">`,
  `<a href="javascript:${RUN}" autofocus>x</a>`,
  `<base href="https://evil.test/">`,
  `<link rel=stylesheet href=https://evil.test/x.css>`,
  `<meta http-equiv=refresh content="0;url=https://evil.test/">`,
  `<style>@import 'https://evil.test/x.css'</style>`,
  `<form action=https://evil.test/><input name=x autofocus onfocus=${RUN}></form>`,
  `<details open ontoggle=${RUN}>`,
  `<video src=x onerror=${RUN}>`,
  `<body onload=${RUN}>`,
  `&lt;script&gt;${RUN}&lt;/script&gt;`,
  `&#60;script&#62;${RUN}&#60;/script&#62;`,
  `\u003cscript\u003e${RUN}\u003c/script\u003e`,
  `\${${RUN}}`,
  `{{constructor.constructor('${RUN}')()}}`,
  `\u202e<script>${RUN}</script>`,
  `<scr\0ipt>${RUN}</scr\0ipt>`,
  `<<script>${RUN}//<</script>`,
  `<template><script>${RUN}</script></template>`,
  `$& $1 $\` <script>${RUN}</script>`,
];

const statistics: FgramStatistics = {
  hash: 'f'.repeat(64),
  size: 40,
  maxLength: 4,
  cutOffCount: 5,
  occurrences: 7890,
  byLength: [2, 3, 4].map((length) => ({ length, fgrams: 40 >> length, occurrences: 8000 >> length })),
  countByRank: [0, 1, 9, 39].map((id) => ({ id, count: Math.round(1000 / (id + 1)) })),
  classes: {
    classified: 40,
    byClass: FGRAM_CLASSES.map((name) => ({
      name,
      fgrams: 40,
      occurrences: 7890,
      top: PAYLOADS.map((text, id) => ({ id, length: 2, count: 1000 - id, text })),
    })),
  },
  heldout: {
    tokens: 1000,
    hitRate: 0.5,
    coverage: 0.7,
    meanMatchLength: 1.75,
    usedFgrams: 30,
    byLength: [500, 300, 150, 50].map((longest, i) => ({ length: i + 1, longest, hitRate: [1, 0.5, 0.2, 0.05][i] })),
    growth: [10, 30, 40].map((fgrams) => ({
      fgrams,
      hitRate: fgrams / 80,
      meanMatchLength: 1.5,
      hitRates: [fgrams / 80, fgrams / 200, fgrams / 800],
    })),
  },
};

const evaluation: RunEvaluation = {
  perplexity: 40,
  loss: 3.7,
  bitsPerByte: 1.2,
  flopsPerToken: 1e6,
  acceleratorParams: 1e5,
  trainingTokens: 1e6,
  trainingFlops: 1e12,
  msPerToken: 2,
  tokens: 1000,
  through: 'store',
  store: { rows: 10, rowBytes: 64, dtype: 'f32' },
  byLength: { 1: { count: 400, loss: 2000 }, 2: { count: 600, loss: 1500 } },
  byCount: { unmatched: { count: 400, loss: 2000 }, '1,000 and more': { count: 600, loss: 1500 } },
  sample: PAYLOADS.map((text, i) => ({ text, length: 1 + (i % 4) })),
};
const metrics = Array.from({ length: 9 }, (_, i) => ({
  step: 10 * i,
  tokens: 1000 * i,
  loss: 7 - i / 3,
  rate: 1e-3,
  ...(i % 4 === 0 ? { heldoutLoss: 7 - i / 4 } : {}),
  gradientNorm: 1,
  flops: 1e9 * i,
  skipped: 0,
  nodes: 1,
  seconds: i,
}));

const pages: [string, string][] = [
  ['of f-grams', statisticsPage(PAYLOADS[0], statistics)],
  [
    'of runs',
    renderReport({ title: PAYLOADS[1], lead: PAYLOADS, runs: PAYLOADS.slice(0, 4).map((label) => ({ label, metrics, evaluation })) }),
  ],
];

const executablePath = findBrowser();
const missing = executablePath === undefined ? ': no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its file)' : '';

describe.skipIf(missing !== '')(`in Chromium${missing}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  /** @returns the page, and the addresses it asked for */
  async function show(source: string, options: { readonly colorScheme?: 'light' | 'dark'; readonly width?: number } = {}) {
    const page = await browser.newPage({
      colorScheme: options.colorScheme ?? 'light',
      viewport: { width: options.width ?? 1000, height: 800 },
    });
    const asked: string[] = [];
    await page.route('**/*', (route) => {
      const url = route.request().url();
      if (url === 'http://page.test/') return route.fulfill({ contentType: 'text/html', body: source });
      asked.push(url);
      return route.abort();
    });
    await page.goto('http://page.test/');
    return { page, asked };
  }
  const openAll = async (page: Page) => {
    for (const summary of await page.locator('summary').all()) await summary.click();
  };

  describe.each(pages)('the page %s', (_, source) => {
    // Without its policy too: escaping has to do alone what the policy does once more.
    it.each([
      ['as it is', source],
      ['without its policy', source.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '')],
    ])('runs nothing and asks for nothing, %s', async (name, text) => {
      expect(text.includes('default-src')).toBe(name === 'as it is');
      const { page, asked } = await show(text);
      await openAll(page);
      await page.waitForTimeout(200);
      expect(await page.evaluate('window.ran')).toBeUndefined();
      expect(asked.filter((url) => !url.endsWith('/favicon.ico'))).toEqual([]);
      expect(
        await page.evaluate(
          "document.querySelectorAll('script,img,iframe,object,embed,base,link,form,video,[onload],[onfocus],[autofocus]').length",
        ),
      ).toBe(0);
      await page.close();
    });

    it.each([
      ['light', 360],
      ['dark', 1000],
    ] as const)('has nothing that axe finds in %s at %i pixels, and does not scroll sideways', async (colorScheme, width) => {
      const { page } = await show(source, { colorScheme, width });
      await openAll(page);
      await page.evaluate(axe.source);
      const { violations, passes } = await page.evaluate<axe.AxeResults>('axe.run({ resultTypes: ["violations"] })');
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`)).toEqual([]);
      expect(passes.map(({ id }) => id)).toContain('color-contrast');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      await page.close();
    });

    it('can be used by keyboard alone', async () => {
      const { page } = await show(source);
      const total = await page.locator('summary').count();
      for (let stop = 0; stop < 60; stop++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate("document.activeElement.localName === 'summary'")) await page.keyboard.press('Enter');
      }
      expect(await page.locator('details[open]').count()).toBe(total);
      await page.close();
    });
  });

  it('the f-grams are there to be read, as they are', async () => {
    const { page } = await show(pages[0][1]);
    const texts = await page.locator('section').first().locator('.fgram').allTextContents();
    expect(texts).toEqual(PAYLOADS.map(visibleText));
    expect(await page.title()).toBe(PAYLOADS[0]);
    await page.close();
  });
});
