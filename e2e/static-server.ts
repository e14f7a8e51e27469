/** A plain server of files, as a static host is one: GET, one range, no more. */
import { readFile, stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

export interface StaticServer {
  readonly port: number;
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Requests since the server began or the list was emptied, and the bytes of their answers. */
  readonly seen: { readonly method: string; readonly path: string; readonly headers: readonly string[]; bytes: number }[];
  /** What browsers have reported, by POST. */
  readonly reports: string[];
  /** How long an answer is kept waiting; it may be changed. */
  delayMs: number;
  close(): void;
}

/** @param headers that every answer has */
export async function serveStatic(folder: string, headers: Readonly<Record<string, string>> = {}): Promise<StaticServer> {
  const seen: StaticServer['seen'] = [];
  const reports: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const asked: StaticServer['seen'][number] = {
      method: request.method ?? '',
      path: pathname,
      headers: Object.keys(request.headers),
      bytes: 0,
    };
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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const served = { port, url: `http://127.0.0.1:${port}`, seen, reports, delayMs: 0, close: () => void server.close() };
  return served;
}
