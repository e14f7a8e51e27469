/**
 * What the faults are tried on: a writer brings a folder from an old state to a new one, as `publishFile` or a command does.
 * From an undisturbed run it follows what is right: readers see the old artifact whole or the new one whole, and after running
 * again the folder is, hidden files included, byte for byte what it is without any fault.
 */
import { isDeepStrictEqual } from 'node:util';
import { inFolder, treeOf } from './folder.mjs';
import { startNewLife } from './lives.mjs';

/**
 * @template T
 * @typedef {object} Writer
 * @property {(folder: string) => Promise<unknown>} [setUp] makes the old state; nothing by default
 * @property {(folder: string) => Promise<unknown>} write what is disturbed. Runs again in the same folder: it resumes, or starts anew
 * @property {RegExp} [varies] names of files whose bytes differ from run to run, because they hold times: only their names are compared
 * @property {(folder: string) => Promise<T>} read what readers see, as plain data; must not throw in an undisturbed state
 */

/**
 * @template T
 * @typedef {{ readonly before: T, readonly after: T, readonly tree: Record<string, string> }} Expected
 */

/** What an undisturbed run does. @template T @param {Writer<T>} writer @returns {Promise<Expected<T>>} */
export function undisturbed(writer) {
  return inFolder(async (folder) => {
    startNewLife();
    await writer.setUp?.(folder);
    const before = await writer.read(folder);
    startNewLife();
    await writer.write(folder);
    const after = await writer.read(folder);
    if (isDeepStrictEqual(before, after)) throw new Error('the writer changes nothing that its readers see: no fault could be noticed');
    const tree = treeOf(folder, writer.varies);
    startNewLife();
    await writer.write(folder);
    const again = treeOf(folder, writer.varies);
    if (!isDeepStrictEqual(again, tree)) throw new Error(`the writer is not repeatable: ${differenceOf(again, tree)}`);
    return { before, after, tree };
  });
}

/**
 * @template T @param {Writer<T>} writer @param {Expected<T>} expected @param {string} folder
 * @param {boolean} finished whether `write` had returned: then only the new state will do
 * @returns {Promise<boolean>} whether it is the new one
 */
export async function expectOldOrNew(writer, expected, folder, finished) {
  const seen = await writer.read(folder);
  if (isDeepStrictEqual(seen, expected.after)) return true;
  if (!finished && isDeepStrictEqual(seen, expected.before)) return false;
  const wanted = finished ? 'not the new state, though the writer had returned' : 'neither the old state nor the new one';
  throw new Error(`readers see ${wanted}: ${brief(seen)}; new: ${brief(expected.after)}`);
}

/** @template T @param {Writer<T>} writer @param {Expected<T>} expected @param {string} folder */
export async function expectResumable(writer, expected, folder) {
  startNewLife();
  await writer.write(folder);
  const tree = treeOf(folder, writer.varies);
  if (!isDeepStrictEqual(tree, expected.tree)) throw new Error(`after running again ${differenceOf(tree, expected.tree)}`);
}

/** A fault that was told must be told well. @param {unknown} error @returns {string | undefined} what is wrong with it */
export function flawOf(error) {
  if (!(error instanceof Error)) return `it throws ${String(error)}, which is no Error`;
  const { code, remedy } = /** @type {{ code?: unknown, remedy?: unknown }} */ (error);
  if (typeof code !== 'string' || !/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/.test(code))
    return `its error has no code of ours (${String(code)}): ${error.stack}`;
  if (typeof remedy !== 'string' || remedy.length < 10) return `its error ${code} has no remedy: ${error.message}`;
  return undefined;
}

/** @param {Record<string, string>} got @param {Record<string, string>} expected */
export function differenceOf(got, expected) {
  const names = [...new Set([...Object.keys(got), ...Object.keys(expected)])].filter((name) => got[name] !== expected[name]);
  const how = (/** @type {string} */ name) =>
    got[name] === undefined ? 'is missing' : expected[name] === undefined ? 'is left over' : 'differs';
  return names.map((name) => `${name} ${how(name)}`).join(', ');
}

/** @param {unknown} value */
function brief(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
