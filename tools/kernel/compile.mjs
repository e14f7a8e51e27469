/** `node tools/kernel/compile.mjs`: packages/ngram-miner's kernel.as -> kernel-module.ts. `npm test` compiles it too, and compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ensureDependencies } from '../setup/dependencies.mjs';
import { ROOT } from '../setup/root.mjs';

export const COMPILER = path.join(ROOT, 'tools/kernel');
const FOLDER = path.join(ROOT, 'packages/ngram-miner/src/mine/kernel');
export const MODULE = path.join(FOLDER, 'kernel-module.ts');

// No runtime, no static data: instances on one memory have nothing to share but what their addresses say.
const OPTIONS = ['--runtime', 'stub', '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'];
const FEATURES = ['--enable', 'simd,bulk-memory,threads', '-O3', '--noAssert'];

/** @returns {Promise<string>} the text of kernel-module.ts */
export async function compileKernel() {
  const { default: asc } = await import(new URL('./node_modules/assemblyscript/dist/asc.js', import.meta.url).href);
  const source = readFileSync(path.join(FOLDER, 'kernel.as'), 'utf8');
  /** @type {Uint8Array | undefined} */
  let binary;
  const { error, stderr } = await asc.main(['kernel.ts', ...OPTIONS, ...FEATURES, '--outFile', 'kernel.wasm'], {
    readFile: (/** @type {string} */ name) => (name === 'kernel.ts' ? source : null),
    writeFile: (/** @type {string} */ name, /** @type {Uint8Array} */ content) => {
      if (name === 'kernel.wasm') binary = content;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw new Error(`kernel.as does not compile:\n${stderr}`);
  const lines =
    Buffer.from(binary)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return `/** kernel.as, compiled by \`node tools/kernel/compile.mjs\`; a test compiles it again and compares. */\nexport const kernelModule =\n  ${lines.map((line) => `'${line}'`).join(' +\n  ')};\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await ensureDependencies(COMPILER);
  writeFileSync(MODULE, await compileKernel());
}
