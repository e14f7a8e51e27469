/** The valkey: backend on real servers: the conformance cases on one server and on a cluster; passwords, TLS, memory that ends. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort, NO_SERVER, SERVER, type Server, startCluster, startServer } from '../../../tools/valkey/servers.mjs';
import { valkeyServersBackend } from './backends/valkey.js';
import { backendCases } from './conformance/index.js';
import { createStore, openStore, registerBackend } from './index.js';

const KINDS: Record<string, () => Promise<Server[]>> = {
  'one server': async () => [await startServer()],
  'a cluster': () => startCluster(),
};

describe.skipIf(SERVER === undefined)(SERVER === undefined ? `skipped: ${NO_SERVER}` : SERVER, () => {
  describe.each(Object.entries(KINDS))('%s', (_, start) => {
    let servers: Server[] = [];
    let next = 0;
    const freshUrl = () => `valkey://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/store:${next++}`;
    /** Whoever has the slot does it. */
    const ask = async (...words: string[]) => {
      const answers = await Promise.all(servers.map(({ command }) => command(...words).catch(() => '')));
      return answers.join('');
    };
    const damageRow = async (url: string, id: number) => {
      const name = /\/\/[^/]*\/(.*)/.exec(url)?.[1];
      const generation = /"generation": "(\w+)"/.exec(await ask('GET', `{${name}}:manifest`))?.[1];
      const key = /\{\w+\}store\S+/.exec(await ask('KEYS', `*${name}:${generation}:${id}`))?.[0];
      await ask('SETRANGE', String(key), '5', 'Z');
    };
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => Promise.all(servers.map((server) => server.stop())));
    for (const { name, run } of backendCases({ freshUrl, damageRow, module: 'node:process' })) it(name, run);
  });

  describe('a server with settings of its own', () => {
    let server: Server | undefined;
    afterEach(() => server?.stop());
    const description = { rows: 4000, width: 256, dtype: 'f32' as const, binding: { fgrams: 'set', model: 'model' } };
    const ids = Uint32Array.from({ length: 4000 }, (_, id) => id);
    const values = Float32Array.from({ length: 4000 * 256 }, (_, i) => i % 1000);
    const expectToWork = async (url: string) => {
      await using writer = await createStore(url, description);
      await writer.write(ids, values);
      await writer.publish();
      await using store = await openStore(url);
      const into = new Float32Array(values.length);
      await store.read(ids, into);
      expect(Buffer.compare(Buffer.from(into.buffer), Buffer.from(values.buffer))).toBe(0);
    };

    it('asks for a password', async () => {
      server = await startServer(['--requirepass', 'word']);
      const url = `//127.0.0.1:${server.port}/rows`;
      registerBackend(valkeyServersBackend('knowing', { password: 'word' }));
      registerBackend(valkeyServersBackend('guessing', { password: 'other' }));
      const refused = { code: 'STORE_IO', remedy: expect.stringContaining('VALKEY_PASSWORD') };
      await expect(openStore(`valkey:${url}`)).rejects.toMatchObject(refused);
      await expect(openStore(`guessing:${url}`)).rejects.toMatchObject(refused);
      await expectToWork(`knowing:${url}`);
    });

    it('speaks TLS, with a certificate that is trusted', async ({ skip }) => {
      const folder = mkdtempSync(join(tmpdir(), 'sconelm-tls-'));
      const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
      const made = spawnSync('openssl', [
        ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '2'],
        ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
      ]);
      skip(made.status !== 0, 'openssl is not installed: apt-get install openssl');
      const tlsPort = await freePort();
      server = await startServer([
        ...['--tls-port', String(tlsPort), '--tls-cert-file', certificate, '--tls-key-file', key],
        ...['--tls-ca-cert-file', certificate, '--tls-auth-clients', 'no'],
      ]);
      registerBackend(valkeyServersBackend('trusting', { tls: { ca: readFileSync(certificate, 'utf8') } }));
      rmSync(folder, { recursive: true });
      await expectToWork(`trusting://127.0.0.1:${tlsPort}/rows`);
      await expectToWork(`trusting://localhost:${tlsPort}/rows`);
      await expect(openStore(`valkeys://127.0.0.1:${tlsPort}/rows`)).rejects.toMatchObject({ code: 'STORE_IO' });
    });

    it('has no memory left', async () => {
      server = await startServer(['--maxmemory', '3mb']);
      await using writer = await createStore(`valkey://127.0.0.1:${server.port}/rows`, description);
      await expect(writer.write(ids, values)).rejects.toMatchObject({ code: 'STORE_DISK_FULL', remedy: expect.stringContaining('memory') });
    });
  });
});
