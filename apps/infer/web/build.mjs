/** Builds the pages, each into a folder of its own that loads nothing from elsewhere: dist/web/inspector, dist/web/tab. */
import { appendFile, readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** What the engine imports in Node alone. */
const rolldownOptions = { external: [/^node:/, 'webgpu'] };

/** Folders of the packages that workers are made of: the licences of the page's own are written by vite. */
const ofWorkers = new Set();
const notePackages = {
  name: 'note-packages',
  generateBundle: (_, bundle) => {
    const modules = Object.values(bundle).flatMap(({ modules = {} }) => Object.keys(modules));
    for (const id of modules) ofWorkers.add(/^.*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0]);
  },
};

async function licenceOf(folder) {
  const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  const file = (await readdir(folder)).find((one) => /^licen[cs]e/i.test(one));
  return `\n## ${name} - ${version} (${license})\n\n${file === undefined ? '' : await readFile(`${folder}/${file}`, 'utf8')}`;
}

for (const page of ['inspector', 'tab']) {
  await build({
    configFile: false,
    root: here(page),
    // Relative addresses: the folder may lie anywhere.
    base: './',
    logLevel: 'warn',
    worker: { format: 'es', rolldownOptions, plugins: () => [notePackages] },
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
  ofWorkers.delete(undefined);
  for (const folder of [...ofWorkers].sort()) await appendFile(here(`../dist/web/${page}/licenses.md`), await licenceOf(folder));
  ofWorkers.clear();
}
