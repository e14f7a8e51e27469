/** Checks what no linter rule says: which package may import which, and which entries stay free of Node. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { ROOT } from './setup/root.mjs';

/** Imports point down only. @type {Record<string, readonly string[]>} */
const MAY_IMPORT = {
  'packages/tensor-webgpu': [],
  'packages/artifact': [],
  'packages/cli-kit': [],
  'packages/ngram-miner': ['artifact'],
  'packages/offload-store': ['artifact'],
  'packages/decoder': ['tensor-webgpu', 'artifact'],
  'packages/fgram-model': ['tensor-webgpu', 'decoder', 'artifact'],
  'apps/train': ['tensor-webgpu', 'artifact', 'cli-kit', 'ngram-miner', 'offload-store', 'decoder', 'fgram-model'],
  'apps/infer': ['tensor-webgpu', 'artifact', 'cli-kit', 'ngram-miner', 'offload-store', 'decoder', 'fgram-model'],
};
/** Folders whose files run in browsers, tests apart. */
const BROWSER = ['packages/tensor-webgpu/src', 'packages/ngram-miner/src/fgrams', 'packages/ngram-miner/src/tokenizer'];
/** The one file that opens Node's WebGPU. */
const NODE_DOORS = ['packages/tensor-webgpu/src/device/open.ts'];

/** @param {string} folder @returns {string[]} */
function sourcesOf(folder) {
  if (!existsSync(path.join(ROOT, folder))) return [];
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.posix.join(folder, file.replaceAll('\\', '/')));
}

const problems = [];
for (const [project, allowed] of Object.entries(MAY_IMPORT)) {
  for (const file of sourcesOf(`${project}/src`)) {
    const text = readFileSync(path.join(ROOT, file), 'utf8');
    const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, specifier]) => specifier);
    for (const specifier of imports) {
      const ours = /^@sconelm\/([^/]+)/.exec(specifier)?.[1];
      if (ours !== undefined && !allowed.includes(ours)) problems.push(`${file}: ${project} may not import ${specifier}`);
      if (/^\.\.\/(\.\.\/)*(packages|apps)\//.test(specifier)) problems.push(`${file}: import the package by its name, not ${specifier}`);
      const browser = BROWSER.some((folder) => file.startsWith(`${folder}/`)) && !file.endsWith('.test.ts') && !NODE_DOORS.includes(file);
      if (browser && specifier.startsWith('node:')) problems.push(`${file}: runs in browsers, so it may not import ${specifier}`);
    }
  }
}
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n`);
  process.exit(1);
}
