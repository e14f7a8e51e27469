/** Makes this checkout ready to run: Node, the dependencies, a WebGPU adapter, for tests (--tests) a browser, a Valkey server and numpy. Says what it does before it does it; idle in under a second. */
import path from 'node:path';
import process from 'node:process';
import { ensureAdapter } from './setup/adapter.mjs';
import { ensureBrowser } from './setup/browser.mjs';
import { ensureDependencies } from './setup/dependencies.mjs';
import { SetupError } from './setup/error.mjs';
import { expectNode } from './setup/node-version.mjs';
import { ensureNumpy } from './setup/numpy.mjs';
import { ROOT } from './setup/root.mjs';
import { ensureValkey } from './setup/valkey.mjs';

try {
  expectNode(process.versions.node);
  await ensureDependencies();
  if (process.argv.includes('--tests')) await ensureDependencies(path.join(ROOT, 'tools/kernel'));
  ensureAdapter({ rootless: process.argv.includes('--rootless') });
  if (process.argv.includes('--tests')) {
    ensureBrowser();
    ensureValkey();
    ensureNumpy();
  }
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`error: ${error.message}\n  -> ${error.remedy}\n`);
  process.exit(1);
}
