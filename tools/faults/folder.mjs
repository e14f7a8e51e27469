/** Temporary folders in memory where there are such, and what is in a folder as plain data. */
import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import { real } from './calls.mjs';

const inMemory = '/dev/shm';
const base = real.existsSync(inMemory) ? inMemory : os.tmpdir();

/**
 * Runs `work` in an empty folder that is removed afterwards.
 * @template T @param {(folder: string) => Promise<T>} work @returns {Promise<T>}
 */
export async function inFolder(work) {
  const folder = real.mkdtempSync(path.join(base, 'faults-'));
  try {
    return await work(folder);
  } finally {
    real.rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Everything in a folder, hidden files included: path -> SHA-256 of a file, 'folder', or a link's target.
 * @param {string} folder @param {RegExp} [varies] names of files of which only the name is told @returns {Record<string, string>}
 */
export function treeOf(folder, varies) {
  /** @type {Record<string, string>} */
  const tree = {};
  const visit = (/** @type {string} */ within) => {
    for (const entry of real.readdirSync(path.join(folder, within), { withFileTypes: true })) {
      const name = path.join(within, entry.name);
      const full = path.join(folder, name);
      if (entry.isDirectory()) {
        tree[name] = 'folder';
        visit(name);
      } else if (entry.isSymbolicLink()) tree[name] = `-> ${real.readlinkSync(full)}`;
      else if (varies?.test(name)) tree[name] = 'file';
      else tree[name] = createHash('sha256').update(real.readFileSync(full)).digest('hex');
    }
  };
  visit('');
  return tree;
}
