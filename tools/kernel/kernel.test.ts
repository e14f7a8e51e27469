import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { COMPILER, compileKernel, MODULE } from './compile.mjs';

it("the miner's module is what its source compiles to", async (context) => {
  if (!existsSync(path.join(COMPILER, 'node_modules'))) return context.skip('the compiler is not installed: node tools/setup.mjs --tests');
  expect(await compileKernel()).toBe(readFileSync(MODULE, 'utf8'));
});
