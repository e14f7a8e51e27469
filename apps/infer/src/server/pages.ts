/** The inspector's files, as built into dist/web. They hold nothing of the model, so whoever reaches the server may load them; what they ask is checked. */
import { readFile } from 'node:fs/promises';
import { HttpError } from './errors.js';

const FOLDER = new URL('../../dist/web/inspector/', import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Nothing from elsewhere, nothing inline, no text taken for markup; no other page may frame these. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/** @param name index.html, or a file of assets @throws {HttpError} 404 */
export async function pageFile(name: string): Promise<Response> {
  const [, asset, extension] = /^(assets\/)?[\w-]+\.(html|js|css|svg)$/.exec(name) ?? [];
  const content = extension === undefined ? undefined : await readFile(new URL(name, FOLDER)).catch(() => undefined);
  if (content === undefined) throw new HttpError(404, 'page_not_found', 'the inspector has no such file');
  return new Response(new Uint8Array(content), {
    headers: {
      'content-type': TYPES[extension],
      // Names of assets change with what is in them.
      'cache-control': asset === undefined ? 'no-cache' : 'public, max-age=31536000, immutable',
      'content-security-policy': POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    },
  });
}
