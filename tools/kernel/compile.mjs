/** `node tools/kernel/compile.mjs`: each AssemblyScript source of KERNELS -> a module as text beside it. `npm test` compiles them too, and compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ensureDependencies } from '../setup/dependencies.mjs';
import { ROOT } from '../setup/root.mjs';

export const COMPILER = path.join(ROOT, 'tools/kernel');

/**
 * @typedef {object} Kernel
 * @property {string} source
 * @property {string} module
 * @property {string} name of the module's constant
 * @property {readonly string[]} memory options
 * @property {string} features
 */

/** @type {readonly Kernel[]} */
export const KERNELS = [
  {
    source: path.join(ROOT, 'packages/ngram-miner/src/mine/kernel/kernel.as'),
    module: path.join(ROOT, 'packages/ngram-miner/src/mine/kernel/kernel-module.ts'),
    name: 'kernelModule',
    memory: ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
    features: 'simd,bulk-memory,threads',
  },
  {
    source: path.join(ROOT, 'packages/ngram-miner/src/fgrams/kernel/kernel.as'),
    module: path.join(ROOT, 'packages/ngram-miner/src/fgrams/kernel/kernel-module.ts'),
    name: 'kernelModule',
    memory: ['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
    features: 'bulk-memory,threads',
  },
  {
    source: path.join(ROOT, 'packages/offload-store/src/codecs/kernel.as'),
    module: path.join(ROOT, 'packages/offload-store/src/codecs/kernel-module.ts'),
    name: 'kernelModule',
    memory: ['--initialMemory', '1'],
    features: 'simd',
  },
];

/** @param {Kernel} kernel @returns {Promise<string>} the text of its module */
export async function compileKernel({ source, name, memory, features }) {
  const { default: asc } = await import(new URL('./node_modules/assemblyscript/dist/asc.js', import.meta.url).href);
  const text = readFileSync(source, 'utf8');
  /** @type {Uint8Array | undefined} */
  let binary;
  // No runtime, no static data: instances on one memory have nothing to share but what their addresses say.
  const options = ['--runtime', 'stub', ...memory, '--enable', features, '-O3', '--noAssert', '--outFile', 'kernel.wasm'];
  const { error, stderr } = await asc.main(['kernel.ts', ...options], {
    readFile: (/** @type {string} */ file) => (file === 'kernel.ts' ? text : null),
    writeFile: (/** @type {string} */ file, /** @type {Uint8Array} */ content) => {
      if (file === 'kernel.wasm') binary = content;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw new Error(`${source} does not compile:\n${stderr}`);
  const lines =
    Buffer.from(binary)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return `/** ${path.basename(source)}, compiled by \`node tools/kernel/compile.mjs\`; a test compiles it again and compares. */\nexport const ${name} =\n  ${lines.map((line) => `'${line}'`).join(' +\n  ')};\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await ensureDependencies(COMPILER);
  for (const kernel of KERNELS) writeFileSync(kernel.module, await compileKernel(kernel));
}
