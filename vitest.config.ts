import { defineConfig } from 'vitest/config';
import { ClosingLine } from './tools/reporter.js';

// Tests read the TypeScript sources through the packages' own export condition, so they need no build.
export default defineConfig({
  resolve: { conditions: ['@sconelm/source'] },
  ssr: { resolve: { conditions: ['@sconelm/source'], externalConditions: ['@sconelm/source'] } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'e2e/**/*.test.ts'],
    reporters: ['default', new ClosingLine()],
    setupFiles: ['tools/property-seed.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
