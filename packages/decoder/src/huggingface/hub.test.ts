/** Models by name, from a server that answers as the hub does. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostilePaths } from '../../../../tools/faults/index.mjs';
import { modelDirectory, openModelFolder } from '../index.js';
import { samples, tensorsOf, writeSample } from './samples.test.support.js';

const commit = '0123456789abcdef0123456789abcdef01234567';
let folder: string;
let server: Server;
let asked: string[];
let hubUrl: string;

/** The hub's answers for one repository, of the files of a folder. */
function hubOf(source: string): Server {
  const files = readdirSync(source);
  const infoOf = (file: string) => ({ type: 'file', path: file, size: readFileSync(join(source, file)).length, oid: `oid-${file}` });
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://hub');
      asked.push(url.pathname);
      const json = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
      if (!url.pathname.includes('/org/name/')) return response.writeHead(404).end('{"error":"Repository not found"}');
      if (url.pathname.includes('/revision/')) return json({ _id: '1', id: 'org/name', sha: commit, private: false, gated: false });
      if (url.pathname.includes('/tree/')) return json(files.map(infoOf));
      if (url.pathname.includes('/paths-info/')) {
        const { paths }: { paths: string[] } = JSON.parse(Buffer.concat(chunks).toString());
        return json(paths.map((file) => ({ ...infoOf(file), lastCommit: { id: commit, title: '', date: '2026-01-01' } })));
      }
      const content = readFileSync(join(source, url.pathname.split('/').at(-1)!));
      const [, first, last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
      response.setHeader('etag', '"x"');
      if (first === undefined) return response.end(content);
      const end = Math.min(content.length - 1, last ? Number(last) : content.length - 1);
      response.writeHead(206, { 'content-range': `bytes ${first}-${end}/${content.length}` });
      return response.end(content.subarray(Number(first), end + 1));
    });
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hub-'));
  const json = samples['Qwen 3']!;
  writeSample(join(folder, 'source'), json, tensorsOf(json), { shards: 2 });
  server = hubOf(join(folder, 'source'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  asked = [];
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

describe('a name of the hub', () => {
  test('is downloaded once, at the commit that the revision stands for', async () => {
    const options = { hubUrl, cacheDirectory: join(folder, 'cache') };
    const directory = await modelDirectory('org/name', options);
    expect(directory).toBe(join(folder, 'cache/models--org--name/snapshots', commit));
    expect((await openModelFolder(directory)).modelType).toBe('qwen3');
    const fetched = asked.filter((request) => request.includes('/resolve/'));
    expect(new Set(fetched).size).toBe(4);
    for (const request of fetched) expect(request).toContain(`/resolve/${commit}/`);
    asked.length = 0;
    expect(await modelDirectory('org/name', { ...options, revision: commit })).toBe(directory);
    expect(asked.some((request) => request.includes('/resolve/'))).toBe(false);
  });
  test('that is not there, or with no hub to be reached, is a typed error', async () => {
    await expect(modelDirectory('org/other', { hubUrl })).rejects.toMatchObject({ code: 'MODEL_HUB' });
    await expect(modelDirectory('org/name', { hubUrl: 'http://127.0.0.1:9' })).rejects.toMatchObject({ code: 'MODEL_HUB' });
  });
  test('is a plain one: other texts ask nobody', async () => {
    asked.length = 0;
    for (const name of hostilePaths) {
      if (name === '' || ['.', './', '/', '..', '///etc', ' '].includes(name)) continue;
      const outcome = await modelDirectory(name, { hubUrl: `${hubUrl}/refused`, cacheDirectory: join(folder, 'none') }).catch(
        (error) => error.code ?? error,
      );
      if (typeof outcome === 'string' && outcome !== 'MODEL_HUB') expect(outcome.startsWith('/'), name).toBe(true);
    }
    for (const request of asked) expect(request).not.toMatch(/\.\.|etc|evil|127/);
  });
  test('gives way to a folder', async () => {
    expect(await modelDirectory(join(folder, 'source'))).toBe(join(folder, 'source'));
  });
});
