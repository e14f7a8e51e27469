import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../setup/root.mjs';
import { COMPILER, compileKernel, KERNELS } from './compile.mjs';

it.for(KERNELS.map((kernel) => ({ kernel, name: path.relative(ROOT, kernel.module) })))(
  '$name is what its source compiles to',
  async ({ kernel }, context) => {
    if (!existsSync(path.join(COMPILER, 'node_modules')))
      return context.skip('the compiler is not installed: node tools/setup.mjs --tests');
    expect(await compileKernel(kernel)).toBe(readFileSync(kernel.module, 'utf8'));
  },
);
