/** Builds the pages, each into a folder of its own that loads nothing from elsewhere: dist/web/inspector, dist/web/tab. */
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** What the engine imports in Node alone. */
const rolldownOptions = { external: [/^node:/, 'webgpu'] };

for (const page of ['inspector', 'tab']) {
  await build({
    configFile: false,
    root: here(page),
    // Relative addresses: the folder may lie anywhere.
    base: './',
    logLevel: 'warn',
    worker: { format: 'es', rolldownOptions },
    build: {
      rolldownOptions,
      outDir: here(`../dist/web/${page}`),
      emptyOutDir: true,
      target: 'es2023',
      // Browsers with light-dark(), which otherwise becomes twice the style.
      cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
      // An inlined file would be a data: address, which the pages' policy refuses.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      license: { fileName: 'licenses.md' },
    },
  });
}
