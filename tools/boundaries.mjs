/** Checks what no linter rule says: which package may import which, and which entries stay free of Node. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { ROOT } from './setup/root.mjs';

/** Which package may import which: the table of docs/architecture.md. @returns {Record<string, readonly string[]>} */
function allowedImports() {
  const text = readFileSync(path.join(ROOT, 'docs/architecture.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `((?:packages|apps)\/[\w-]+)`\s*\|[^|]*\|([^|]*)\|$/gm)];
  return Object.fromEntries(rows.map(([, project, imports]) => [project, [...imports.matchAll(/`([\w-]+)`/g)].map(([, name]) => name)]));
}

/** Folders whose files run in browsers, tests apart. */
const BROWSER = [
  'packages/artifact/src/portable',
  'packages/tensor-webgpu/src',
  'packages/ngram-miner/src/fgrams',
  'packages/ngram-miner/src/tokenizer',
  'packages/offload-store/src',
  'packages/decoder/src',
  'packages/fgram-model/src',
  'apps/infer/src/engine',
  'apps/infer/src/text',
  'apps/infer/web/components',
  'apps/infer/web/inspector',
  'apps/infer/web/tab',
];
/** Their files that only Node sees: what opens its WebGPU, and what reads and writes files. */
const NODE_DOORS =
  /^packages\/(tensor-webgpu\/src\/device\/(open|tuning-file)|offload-store\/src\/(builtin-backends|conformance\/[\w-]+|backends\/(file|journal|lmdb|pace|valkey)[\w-]*)|decoder\/src\/(checkpoint|safetensors-file|huggingface\/[\w.-]+)|fgram-model\/src\/run-folder)\.ts$/;

/** @param {string} folder @returns {string[]} */
function sourcesOf(folder) {
  if (!existsSync(path.join(ROOT, folder))) return [];
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file))
    .map((file) => path.posix.join(folder, file.replaceAll('\\', '/')));
}

const problems = [];
const table = allowedImports();
for (const parent of ['packages', 'apps']) {
  for (const name of readdirSync(path.join(ROOT, parent))) {
    if (!(`${parent}/${name}` in table)) problems.push(`docs/architecture.md: the table of imports has no row for ${parent}/${name}`);
  }
}
for (const [project, allowed] of Object.entries(table)) {
  for (const file of [...sourcesOf(`${project}/src`), ...sourcesOf(`${project}/web`)]) {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, specifier]) => specifier);
    for (const specifier of imports) {
      const ours = /^@sconelm\/([^/]+)/.exec(specifier)?.[1];
      if (ours !== undefined && !allowed.includes(ours)) problems.push(`${file}: ${project} may not import ${specifier}`);
      if (/^\.\.\/(\.\.\/)*(packages|apps)\//.test(specifier)) problems.push(`${file}: import the package by its name, not ${specifier}`);
      const browser = BROWSER.some((folder) => file.startsWith(`${folder}/`)) && !file.endsWith('.test.ts') && !NODE_DOORS.test(file);
      if (browser && specifier.startsWith('node:')) problems.push(`${file}: runs in browsers, so it may not import ${specifier}`);
    }
  }
}
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`);
  process.exit(1);
}
