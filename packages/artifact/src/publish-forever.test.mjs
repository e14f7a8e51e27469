// Publishes generation after generation of a file and a folder until it is killed. Arguments: folder to work in.
// The sources are TypeScript, which Node 20 does not run, so vitest's server loads them.
import { createViteServer } from 'vitest/node';

const directory = process.argv[2];
const server = await createViteServer({
  configFile: false,
  root: import.meta.dirname,
  appType: 'custom',
  logLevel: 'error',
  server: { middlewareMode: true, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true },
  oxc: { target: 'node20' },
});
const { publishBytes, publishDirectory } = await server.ssrLoadModule(`${import.meta.dirname}/index.ts`);
for (let generation = 1; ; generation += 1) {
  const content = `${generation}\n`.repeat(20_000);
  await publishBytes(`${directory}/file`, content);
  await publishDirectory(`${directory}/folder`, async (/** @type {string} */ aside) => {
    await publishBytes(`${aside}/a`, content);
    await publishBytes(`${aside}/b`, content);
  });
  process.stdout.write('published\n');
}
