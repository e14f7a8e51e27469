/** A published model's page where things go wrong, and for everybody: damage, a lost GPU, no WebGPU, hostile texts, keyboard, narrow screens. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { formatManifest } from '@sconelm/artifact';
import { openDevice } from '@sconelm/tensor-webgpu';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type StaticServer, serveStatic } from '../tools/static-server.mjs';
import { commandsInFolder } from './command.js';
import { expectAccessible } from './expect-accessible.js';
import { SCRIPT_PAYLOADS } from './script-payloads.js';
import { button, launchBrowser, load, missingBrowser, openPage, POLICY, WEBGPU, write } from './tab-page.js';
import { createTinyRun } from './tiny-run.js';

const { folder, command } = commandsInFolder();
const site = path.join(folder, 'site');
const servers: StaticServer[] = [];
let server: StaticServer;
let browser: Browser;

async function serve(directory: string): Promise<StaticServer> {
  const served = await serveStatic(directory, { 'content-security-policy': POLICY });
  servers.push(served);
  return served;
}

/** A copy of the folder in which something is changed. */
async function changed(name: string, file: string, change: (content: Buffer) => Buffer | string): Promise<string> {
  const copy = path.join(folder, name);
  await cp(site, copy, { recursive: true });
  writeFileSync(path.join(copy, file), change(readFileSync(path.join(copy, file))));
  return (await serve(copy)).url;
}

const flipped = (content: Buffer) => {
  for (let at = 0; at < content.length; at += 16) content[at] ^= 4;
  return content;
};

beforeAll(async () => {
  if (missingBrowser !== undefined) return;
  const run = path.join(folder, 'runs/tiny');
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
  `the page of a published model${missingBrowser === undefined ? '' : `: ${missingBrowser}`}`,
  () => {
    it('says which part is damaged or missing, and uses none of it', async () => {
      const weights = await openPage(await changed('weights', 'decoder.safetensors', flipped), browser);
      await button(weights.page, /^Load/).click();
      await weights.page
        .getByRole('alert')
        .getByText(/decoder\.safetensors has checksum/)
        .waitFor();
      expect(await button(weights.page, 'Load the model again').count()).toBe(1);
      await weights.page.close();

      const manifest = await openPage(await changed('manifest', 'model.json', (json) => String(json).replace('"f32"', '"f16"')), browser);
      await manifest.page
        .getByRole('alert')
        .getByText(/model\.json: checksum/)
        .waitFor();
      await manifest.page.close();

      const set = await openPage(await changed('set', 'fgrams/fgrams.json', () => '{}'), browser);
      await button(set.page, /^Load/).click();
      await set.page
        .getByRole('alert')
        .getByText(/fgrams\.json has 2 bytes, expected/)
        .waitFor();
      await set.page.close();

      const rows = await openPage(await changed('rows', 'rows/rows-00000.bin', flipped), browser);
      await load(rows.page);
      await rows.page.getByLabel('Prompt').fill('The old man looked at the river');
      await button(rows.page, 'Write').click();
      await rows.page
        .getByRole('alert')
        .getByText(/rows: block \d+ .* not match/)
        .waitFor();
      expect(await rows.page.locator('.tokens .token:not(.given)').count()).toBe(0);
      await rows.page.close();
    });

    it('a lost GPU is said, and one button brings the model back', async () => {
      const own = await launchBrowser(...WEBGPU);
      const { page } = await openPage(server.url, own);
      await load(page);
      const before = await write(page, { Tokens: '20' });
      const [gpu] = await processesOf(own, 'GPU');
      process.kill(gpu, 'SIGKILL');
      await page
        .getByRole('alert')
        .getByText(/the device was lost/)
        .waitFor();
      await button(page, 'Load the model again').click();
      await button(page, 'Write').waitFor();
      expect(await write(page, { Tokens: '20' })).toEqual(before);
      await own.close();
    });

    it('without WebGPU it says which browsers have it, and that it wants https', async () => {
      const without = await launchBrowser('--host-resolver-rules=MAP model.test 127.0.0.1');
      const { page } = await openPage(server.url, without);
      // It has the interface, and finds no adapter.
      await button(page, /^Load/).click();
      await page.getByRole('alert').getByText('Chrome and Edge 113 and later').waitFor();
      await expectAccessible(page);
      await page.addInitScript('delete Navigator.prototype.gpu');
      await page.reload();
      await page.getByRole('alert').getByText('Chrome and Edge 113 and later').waitFor();
      expect(await button(page, /^Load/).count()).toBe(0);
      const insecure = await openPage(`http://model.test:${server.port}/`, without);
      await insecure.page
        .getByRole('alert')
        .getByText('Browsers give WebGPU only to pages that come over https or from localhost')
        .waitFor();
      await without.close();
    });

    it('forty payloads in prompts, and as the model’s name, run nothing and ask nobody', async () => {
      const named = await changed('named', 'model.json', (json) => {
        const { kind, version, ...body } = JSON.parse(String(json));
        return formatManifest('model.json', { kind, version, ...body, name: SCRIPT_PAYLOADS.join(' ') });
      });
      const { page, trouble } = await openPage(named, browser);
      await page.evaluate('globalThis.ran = () => { globalThis.hasRun = true; }');
      await page.getByRole('heading', { name: '<script>ran()</script>' }).waitFor();
      await load(page);
      expect(SCRIPT_PAYLOADS.length).toBe(40);
      for (const payload of SCRIPT_PAYLOADS) {
        const tokens = await write(page, { Prompt: payload, Tokens: '1' });
        await page.locator('.tokens .token').first().hover();
        expect(tokens.length).toBeGreaterThan(10);
      }
      expect(await page.evaluate('globalThis.hasRun ?? false')).toBe(false);
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('can be used by keyboard alone, at 360 pixels, in light and in dark, and axe finds nothing', async () => {
      const { page, trouble } = await openPage(server.url, browser);
      await page.setViewportSize({ width: 360, height: 740 });
      const expectGood = async () => {
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          await expectAccessible(page);
        }
      };
      await button(page, /^Load/).waitFor();
      await expectGood();
      await tabTo(page, /^Load the model/);
      await page.keyboard.press('Enter');
      await page.locator('#prompt:focus').waitFor();
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.type('The cat sat on the mat');
      await tabTo(page, 'Write');
      await page.keyboard.press('Enter');
      await page.getByText(/^(As many tokens|The model ended)/).waitFor();
      await tabTo(page, 'Tokens of the text');
      await page.keyboard.press('End');
      await page.locator('.odds li').first().waitFor();
      await page.keyboard.press('ArrowLeft');
      await expectGood();
      await tabTo(page, 'Unload the model');
      await page.keyboard.press('Enter');
      await button(page, /^Load the model/).waitFor();
      expect(trouble).toEqual([]);
      await page.close();
    });

    it('loads, unloads and loads again twenty times in the same memory', async () => {
      const own = await launchBrowser(...WEBGPU);
      const { page, trouble } = await openPage(server.url, own);
      const used: number[] = [];
      for (let round = 0; round < 20; round++) {
        await load(page);
        if (round % 5 === 0) await write(page, { Tokens: '1' });
        await button(page, 'Unload the model').click();
        await button(page, /^Load the model/).waitFor();
        used.push(residentBytes(await processesOf(own)));
        expect(page.workers()).toHaveLength(1);
      }
      // A worker or a device that stays takes five megabytes and more.
      const mean = (some: readonly number[]) => some.reduce((sum, bytes) => sum + bytes, 0) / some.length;
      expect(mean(used.slice(15)) - mean(used.slice(5, 10)), used.join(' ')).toBeLessThan(25e6);
      expect(trouble).toEqual([]);
      await own.close();
    });
  },
);

/** Ids of a browser's processes. */
async function processesOf(launched: Browser, type?: string): Promise<number[]> {
  const debug = await launched.newBrowserCDPSession();
  const { processInfo } = await debug.send('SystemInfo.getProcessInfo');
  await debug.detach();
  return processInfo.filter((one) => type === undefined || one.type === type).map(({ id }) => id);
}

const residentBytes = (processes: readonly number[]) =>
  execFileSync('ps', ['-o', 'rss=', '-p', processes.join()], { encoding: 'utf8' })
    .split('\n')
    .reduce((sum, line) => sum + 1024 * Number(line), 0);

/** Presses the Tab key until an element of this name has the focus. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const seen: string[] = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    const found = await page.evaluate<string>(
      `document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent ?? ''`,
    );
    seen.push(found);
    if (typeof name === 'string' ? found.trim() === name : name.test(found.trim())) return;
  }
  expect.fail(`the Tab key leads to ${seen.join(', ')}, not to ${name}`);
}
