/** The pages of examples/browser: as they lie in a checkout, and with their packages from a CDN, which is this repository here. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createStore } from '@sconelm/offload-store';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../tools/setup/root.mjs';
import { type StaticServer, serveStatic } from '../tools/static-server.mjs';
import { commandsInFolder } from './command.js';
import { expectAccessible } from './expect-accessible.js';
import { launchBrowser, missingBrowser, openPage, WEBGPU } from './tab-page.js';

const { folder } = commandsInFolder();
const CDN = 'https://cdn.jsdelivr.net/npm/';
let server: StaticServer;
let stores: StaticServer;
let browser: Browser;

beforeAll(async () => {
  if (missingBrowser !== undefined) return;
  const [rows, width] = [2000, 8];
  const description = { rows, width, dtype: 'f32' as const, blockRows: 16, binding: { fgrams: 'a', model: 'b' } };
  await using writer = await createStore(`file:${path.join(folder, 'rows')}`, description);
  const ids = Uint32Array.from({ length: rows }, (_, id) => id);
  const values = Float32Array.from({ length: rows * width }, (_, i) => i / width);
  await writer.write(ids, values);
  await writer.publish();
  server = await serveStatic(ROOT);
  stores = await serveStatic(folder, { 'access-control-allow-origin': '*' });
  browser = await launchBrowser(...WEBGPU);
});
afterAll(async () => {
  await browser?.close();
  server?.close();
  stores?.close();
});

/** Opens an example as it lies here, or as its README says to change it for a CDN, whose answers are then this repository's files. */
async function open(name: string, where: string): Promise<{ readonly page: Page; readonly trouble: readonly string[] }> {
  if (where === 'in a checkout') return openPage(`${server.url}/examples/browser/${name}`, browser);
  const context = await browser.newContext();
  const file = name.split('?')[0];
  const html = readFileSync(path.join(ROOT, 'examples/browser', file), 'utf8');
  const changed = html.replaceAll('../../packages/', `${CDN}@sconelm/`).replaceAll('../../node_modules/', CDN);
  writeFileSync(path.join(folder, file), changed);
  await context.route(`${CDN}**`, (route) => {
    const asked = route.request().url().slice(CDN.length);
    const local = asked.startsWith('@sconelm/') ? `packages/${asked.slice('@sconelm/'.length)}` : `node_modules/${asked}`;
    const headers = { 'access-control-allow-origin': '*' };
    return route.fulfill({ path: path.join(ROOT, local), contentType: 'text/javascript', headers });
  });
  const page = await context.newPage();
  const trouble: string[] = [];
  page.on('pageerror', (error) => trouble.push(error.message));
  await page.goto(`${stores.url}/${name}`);
  return { page, trouble };
}

const places = ['in a checkout', 'from a CDN'];

describe.skipIf(missingBrowser !== undefined)(`pages without a bundler${missingBrowser === undefined ? '' : `: ${missingBrowser}`}`, () => {
  it.each(places)('tensor-webgpu.html learns its curve, %s', async (where) => {
    const { page, trouble } = await open('tensor-webgpu.html', where);
    const state = page.locator('#state');
    await state.getByText('step 800 of 800').waitFor({ timeout: 60_000 });
    expect(Number(/error ([\d.]+)/.exec((await state.textContent()) ?? '')?.[1])).toBeLessThan(0.01);
    await expectAccessible(page);
    expect(trouble).toEqual([]);
    await page.close();
  });

  it.each(places)('offload-store.html reads rows of another origin, %s', async (where) => {
    const { page } = await open(`offload-store.html?store=${encodeURIComponent(`${stores.url}/rows`)}`, where);
    await page.getByLabel('Ids of rows').fill('7, 1999');
    await page.getByRole('button', { name: 'Read' }).click();
    await page.getByText('row 7: 7.000  7.125').waitFor();
    await page.getByText('row 1999: 1999.000').waitFor();
    await page.getByText('2000 rows of 8 (f32)').waitFor();
    await expectAccessible(page);
    await page.getByLabel('Ids of rows').fill('2000');
    await page.getByRole('button', { name: 'Read' }).click();
    await page.getByText(/^STORE_ARGUMENT: /).waitFor();
    await page.close();
  });
});
