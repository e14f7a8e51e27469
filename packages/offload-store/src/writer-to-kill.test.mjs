// Writes the rows that a store lacks, ten a call, and publishes it. Arguments: URL, its description as JSON. Says when it begins.
// The sources are TypeScript, which Node 20 does not run, so vitest's server loads them.
import { createViteServer } from 'vitest/node';

const [, , url, description] = process.argv;
const conditions = ['@sconelm/source'];
const server = await createViteServer({
  configFile: false,
  root: import.meta.dirname,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  oxc: { target: 'node20' },
});
const { createStore } = await server.ssrLoadModule(`${import.meta.dirname}/index.ts`);
const { width, ...rest } = JSON.parse(description);
{
  await using writer = await createStore(url, { width, ...rest });
  process.stdout.write('writing\n');
  for (let first = writer.nextMissing(); first >= 0; first = writer.nextMissing(first)) {
    const ids = Uint32Array.from({ length: Math.min(10, rest.rows - first) }, (_, i) => first + i);
    await writer.write(
      ids,
      Float32Array.from({ length: ids.length * width }, (_, i) => ids[Math.floor(i / width)] * 100 + (i % width)),
    );
  }
  await writer.publish();
}
await server.close();
