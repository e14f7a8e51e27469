/** tensor-webgpu in a real browser: headless Chromium, with SwiftShader as its GPU, loads the built package as it is. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { DeviceInfo } from '@sconelm/tensor-webgpu';
import type { Conformance } from '@sconelm/tensor-webgpu/testing';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findBrowser } from '../tools/setup/browser.mjs';

const DIST = path.resolve('packages/tensor-webgpu/dist');
const executablePath = findBrowser();
const missing =
  executablePath === undefined ? 'no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its file)' : undefined;

describe.skipIf(missing !== undefined)(`in Chromium${missing === undefined ? '' : `: ${missing}`}`, () => {
  let server: Server;
  let browser: Browser;
  beforeAll(async () => {
    server = createServer((request, response) => {
      const file = path.join(DIST, path.normalize(new URL(request.url ?? '/', 'http://localhost').pathname));
      if (request.url === '/') response.setHeader('content-type', 'text/html').end('<!doctype html><title>tensor-webgpu</title>');
      else
        readFile(file).then(
          (data) => response.setHeader('content-type', 'text/javascript').end(data),
          () => response.writeHead(404).end(),
        );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({
      ...(executablePath === undefined ? {} : { executablePath }),
      args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  it('every kind of kernel gives what the interpreter gives', async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    // As text: the test runner would rewrite the imports of a function.
    const { adapter, results } = await page.evaluate<{ adapter: DeviceInfo; results: Conformance[] }>(`(async () => {
      const [{ openDevice }, { checkConformance }] = [await import('/index.js'), await import('/testing/index.js')];
      const device = await openDevice();
      return { adapter: device.info, results: await checkConformance(device) };
    })()`);
    expect(adapter.software).toBe(true);
    expect(results.length).toBeGreaterThan(10);
    for (const { name, error } of results) expect(error, name).toBeLessThan(2e-4);
  });
});
