/** A published model's page in headless Chromium, with SwiftShader as its GPU: how it is opened, and asked for text as a reader would. */
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { visiblePieces } from '../apps/infer/web/components/token.js';
import { findBrowser } from '../tools/setup/browser.mjs';

const executablePath = findBrowser();
/** Why there is no browser. */
export const missingBrowser =
  executablePath === undefined ? 'no Chromium here (Debian: apt-get install chromium; or set CHROMIUM to its file)' : undefined;

export const WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

/** The page's own policy, as a host may send it with every file, the worker's too; what is against it is reported to the host. */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; report-uri /reports";

export function launchBrowser(...args: string[]): Promise<Browser> {
  return chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args: ['--no-sandbox', ...args] });
}

/** A page, of its own profile unless a context is given; `trouble` fills with its errors, what its policy refused, and requests to others. */
export async function openPage(url: string, from: Browser | BrowserContext): Promise<{ readonly page: Page; readonly trouble: string[] }> {
  const page = await from.newPage();
  const trouble: string[] = [];
  const { origin } = new URL(url);
  page.on('pageerror', (error) => trouble.push(error.message));
  page.on('console', (message) => message.type() === 'error' && trouble.push(message.text()));
  page.on('request', (request) => request.url().startsWith(`${origin}/`) || trouble.push(`a request to ${request.url()}`));
  page.on('dialog', (dialog) => {
    trouble.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, trouble };
}

export const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });

export async function load(page: Page): Promise<void> {
  await button(page, /^Load the model/).click();
  await button(page, 'Write').waitFor();
}

export interface MarkedToken {
  readonly text: string | null;
  /** Of its f-gram. */
  readonly length?: number;
  /** Stood in the prompt. */
  readonly given: boolean;
}

/** Fills fields by their labels, and waits until the text is written. @returns the tokens shown */
export async function write(page: Page, fields: Readonly<Record<string, string>>): Promise<MarkedToken[]> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await button(page, 'Write').click();
  await page.getByText(/^(As many tokens as were asked for|The model ended the text)/).waitFor();
  // As text: the test runner would rewrite a function.
  return page.evaluate<MarkedToken[]>(`[...document.querySelectorAll('.tokens .token')].map((token) => ({
    text: token.textContent,
    ...(token.dataset.length === undefined ? {} : { length: Number(token.dataset.length) }),
    given: token.className.includes('given'),
  }))`);
}

/** A figure by its name. */
export const figure = (page: Page, name: string) => page.locator(`dt:text-is("${name}") + dd`).textContent();

/** A token's text as the page shows it. */
export const shownText = (text: string) =>
  visiblePieces(text)
    .map((piece) => (piece.text === '↵' && piece.unseen ? '↵\n' : piece.text))
    .join('');
