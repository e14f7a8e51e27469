/** A plain server of files, as a static host is one: GET, one range, no more. For tests and benches of pages. */
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/**
 * @typedef {object} Asked a request, and the bytes of its answer
 * @property {string} method
 * @property {string} path
 * @property {readonly string[]} headers by their names
 * @property {number} bytes
 */
/**
 * @typedef {object} StaticServer
 * @property {number} port
 * @property {string} url `http://127.0.0.1:PORT`
 * @property {Asked[]} seen since the server began or the list was emptied
 * @property {string[]} reports what browsers have reported, by POST
 * @property {number} delayMs how long an answer is kept waiting; it may be changed
 * @property {() => void} close
 */

/** @param {string} folder @param {Readonly<Record<string, string>>} headers that every answer has @returns {Promise<StaticServer>} */
export async function serveStatic(folder, headers = {}) {
  /** @type {Asked[]} */
  const seen = [];
  /** @type {string[]} */
  const reports = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const asked = { method: request.method ?? '', path: pathname, headers: Object.keys(request.headers), bytes: 0 };
    seen.push(asked);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === 'POST') {
      reports.push(await text(request));
      return void response.writeHead(204).end();
    }
    if (request.method !== 'GET') return void response.writeHead(405).end();
    if (served.delayMs > 0) await setTimeout(served.delayMs);
    const file = path.join(folder, path.posix.normalize(decodeURIComponent(pathname)));
    try {
      const target = (await stat(file)).isDirectory() ? path.join(file, 'index.html') : file;
      const body = await readFile(target);
      response.setHeader('content-type', TYPES[path.extname(target)] ?? 'application/octet-stream');
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (Number(from ?? 0) > body.length) return void response.writeHead(416).end();
      const part = from === undefined ? body : body.subarray(Number(from), Number(to) + 1);
      asked.bytes = part.length;
      if (from === undefined) return void response.end(part);
      response.writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${body.length}` }).end(part);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const served = { port, url: `http://127.0.0.1:${port}`, seen, reports, delayMs: 0, close: () => void server.close() };
  return served;
}
