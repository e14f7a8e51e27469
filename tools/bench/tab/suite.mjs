/** A published model of the quickstart in headless Chromium: how soon it writes, how much JavaScript it is, and whether it writes as the command line does. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { findBrowser } from '../../setup/browser.mjs';
import { ROOT } from '../../setup/root.mjs';
import { serveStatic } from '../../static-server.mjs';

/** @typedef {import('../report.mjs').Measurement} Measurement */
/** @typedef {import('playwright-core').Page} Page */

const OWN = 'scone';
const SCRATCH = path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'sconelm/bench/tab');
const PROMPT = 'The people of the United States';
/** Tokens that are compared, as many at a time as fit the quickstart's context. */
const COMPARED = 200;
const AT_ONCE = 100;
const NO_BROWSER = 'no Chromium here: apt-get install chromium, or set CHROMIUM to its file';

const median = (/** @type {readonly number[]} */ xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];

/** @param {'train' | 'infer'} app @param {readonly string[]} args @returns {string} what it printed */
function command(app, args) {
  const main = path.join(ROOT, `apps/${app}/dist/main.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`scone-${app} ${args[0]} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The run that `npm start` left, or a shorter one. @param {(line: string) => void} say @returns {{ run: string, note?: string }} */
function quickstart(say) {
  const own = path.join(ROOT, 'runs/quickstart/scone');
  if (existsSync(path.join(own, 'rows/manifest.json'))) return { run: own };
  const directory = path.join(SCRATCH, 'quickstart');
  say('  training a tenth of the quickstart, because npm start has left none');
  command('train', ['quickstart', '--budget', '0.1', '--directory', directory]);
  return { run: path.join(directory, 'scone'), note: 'trained for a tenth of the quickstart’s time' };
}

/** @param {Page} page @param {{ url: string, tokens: number, seed: number }} request @returns {Promise<number>} seconds from the empty tab to the first token */
async function writeIn(page, { url, tokens, seed }) {
  const started = performance.now();
  await page.goto(url);
  await page.getByRole('button', { name: /^Load the model/ }).click();
  await page.getByLabel('Prompt').fill(PROMPT);
  await page.getByLabel('Tokens', { exact: true }).fill(String(tokens));
  await page.getByLabel('Seed').fill(String(seed));
  await page.getByRole('button', { name: 'Write' }).click();
  await page.locator('.tokens .token:not(.given)').first().waitFor();
  return (performance.now() - started) / 1000;
}

/** @type {import('../report.mjs').Area} */
export const area = {
  engine: OWN,
  engines: [OWN],
  cases: ['first-token', 'javascript-gzip', 'tokens-equal'],
  async measure({ cases, rounds, say }) {
    /** @type {Measurement[]} */
    const measurements = [];
    if (cases.includes('javascript-gzip')) measurements.push(javascriptGzip());
    const inBrowser = cases.filter((name) => name !== 'javascript-gzip');
    const executablePath = findBrowser();
    if (inBrowser.length === 0) return { measurements };
    if (executablePath === undefined) {
      for (const name of inBrowser) measurements.push({ case: name, engine: OWN, median: null, unit: UNITS[name], note: NO_BROWSER });
      return { measurements };
    }
    const { run, note } = quickstart(say);
    const site = path.join(SCRATCH, 'site');
    rmSync(site, { recursive: true, force: true });
    command('infer', ['publish', run, site]);
    const server = await serveStatic(site);
    const args = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
    const browser = await chromium.launch({ executablePath, args });
    try {
      const remarks = note === undefined ? {} : { note };
      if (cases.includes('first-token')) {
        const times = [];
        for (let round = 0; round < rounds; round++) {
          // A profile of its own: nothing is cached.
          const page = await browser.newPage();
          times.push(await writeIn(page, { url: server.url, tokens: 1, seed: round }));
          await page.close();
        }
        measurements.push({ case: 'first-token', engine: OWN, median: median(times), unit: UNITS['first-token'], ...remarks });
      }
      if (cases.includes('tokens-equal'))
        measurements.push({ ...(await tokensEqual(await browser.newPage(), server.url, run)), ...remarks });
      return { adapter: `SwiftShader in Chromium ${browser.version()}`, measurements };
    } finally {
      await browser.close();
      server.close();
    }
  },
};

/** @type {Readonly<Record<string, string>>} */
const UNITS = { 'first-token': 's', 'javascript-gzip': 'KB', 'tokens-equal': '1 = all' };

/** @returns {Measurement} */
function javascriptGzip() {
  const folder = path.join(ROOT, 'apps/infer/dist/web/tab/assets');
  const sizes = readdirSync(folder)
    .filter((name) => name.endsWith('.js'))
    .map((name) => gzipSync(readFileSync(path.join(folder, name)), { level: 9 }).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return { case: 'javascript-gzip', engine: OWN, median: total / 1000, unit: UNITS['javascript-gzip'] };
}

/** @param {Page} page @param {string} url @param {string} run @returns {Promise<Measurement>} */
async function tokensEqual(page, url, run) {
  let compared = 0;
  let equal = 0;
  for (let seed = 0; compared < COMPARED; seed++) {
    await writeIn(page, { url, tokens: AT_ONCE, seed });
    await page.getByText(/^(As many tokens as were asked for|The model ended the text)/).waitFor();
    const found = await page.locator('.tokens .token:not(.given)').allTextContents();
    const args = ['generate', '--run', run, '--prompt', PROMPT, '--max-tokens', String(AT_ONCE), '--seed', String(seed), '--json'];
    /** @type {{ generated: { text: string }[] }} */
    const { generated } = JSON.parse(command('infer', args));
    // What cannot be seen has a sign of its own on the page: line ends here.
    const expected = generated.map(({ text }) => text.replaceAll('\n', '↵\n'));
    compared += expected.length;
    equal += expected.filter((text, i) => text === found[i]).length - Math.max(0, found.length - expected.length);
  }
  const all = equal === compared;
  const facts = { compared, equal };
  return {
    case: 'tokens-equal',
    engine: OWN,
    median: all ? 1 : 0,
    unit: UNITS['tokens-equal'],
    facts,
    ...(all ? {} : { disagrees: true }),
  };
}
