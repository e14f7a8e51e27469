/** The valkey: backend on real servers: the conformance cases on one server and on a cluster. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { NO_SERVER, SERVER, type Server, startCluster, startServer } from '../../../tools/valkey/servers.mjs';
import { backendCases } from './conformance/index.js';

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
      await ask('SETRANGE', `${name}:${generation}:${id}`, '5', 'Z');
    };
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => Promise.all(servers.map((server) => server.stop())));
    for (const { name, run } of backendCases({ freshUrl, damageRow, module: 'node:process' })) it(name, run);
  });
});
