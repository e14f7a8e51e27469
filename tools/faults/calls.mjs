/**
 * Sees every call of node:fs that concerns one folder, and may let it fail: functions with promises, with callbacks, synchronous,
 * and the methods of FileHandle. Code under test needs no seam for it, because named imports follow what is put in their place
 * (`syncBuiltinESMExports`). Calls that Node's own functions make inside another call are part of that call.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/**
 * One call: `op` is the name without `Sync`, and that of the function of a file descriptor for a FileHandle's methods.
 * @typedef {{ readonly op: string, readonly path: string, readonly to?: string, readonly fd?: number, readonly writes: boolean }} Call
 */
/**
 * What happens to a call instead: it fails with an error, or only a part of its bytes is written or read.
 * @typedef {{ readonly error: Error } | { readonly short: true }} Disturbance
 */
/**
 * @typedef {object} Observer
 * @property {string} root only calls about this folder and what is in it are told
 * @property {(call: Call) => Disturbance | undefined} before
 * @property {(call: Call) => void} [after] the call has succeeded
 */

/** The functions as Node has them, for the kit's own use and for code that may not be disturbed. */
export const real = { ...fs };

const byPath = new Set(
  'access appendFile chmod copyFile cp link lstat mkdir mkdtemp open opendir readFile readdir readlink realpath rename rm rmdir stat statfs symlink truncate unlink utimes writeFile exists'.split(
    ' ',
  ),
);
const byDescriptor = new Set('close fdatasync fstat fsync ftruncate futimes read readv write writev'.split(' '));
/** Method of FileHandle: the function that does the same with a descriptor. */
const ofHandle = /** @type {Record<string, string>} */ ({
  appendFile: 'appendFile',
  close: 'close',
  datasync: 'fdatasync',
  read: 'read',
  readFile: 'readFile',
  readv: 'readv',
  stat: 'fstat',
  sync: 'fsync',
  truncate: 'ftruncate',
  write: 'write',
  writeFile: 'writeFile',
  writev: 'writev',
});
const changing = new Set(
  'appendFile copyFile cp ftruncate link mkdir mkdtemp rename rm rmdir symlink truncate unlink write writeFile writev'.split(' '),
);
const withTwoPaths = new Set(['rename', 'link', 'copyFile', 'cp', 'symlink']);

/** @type {Observer | undefined} */
let observer;
/** Descriptors that are open, by number, and the path each was opened with. @type {Map<number, string>} */
const opened = new Map();
/** Set while a call is at work: what happens inside it is not told again. */
const inside = new AsyncLocalStorage();

/**
 * Starts to tell `next` of the calls about its folder. One observer at a time.
 * @param {Observer} next
 * @returns {() => void} ends it
 */
export function observe(next) {
  if (observer !== undefined) throw new Error(`the calls about ${observer.root} are already observed`);
  const told = { ...next, root: path.resolve(next.root) };
  observer = told;
  return () => {
    if (observer === told) observer = undefined;
  };
}

/** The files in a folder that are open now: what a writer forgot to close. @param {string} root @returns {string[]} */
export function openFilesIn(root) {
  return [...opened.values()].filter((file) => isIn(root, file));
}

/** @param {string} root @param {string} file */
const isIn = (root, file) => file === root || file.startsWith(root + path.sep);

/** @param {unknown} value @returns {string | undefined} */
function pathOf(value) {
  if (typeof value === 'number') return opened.get(value);
  if (typeof value === 'string') return path.resolve(value);
  if (value instanceof URL) return fileURLToPath(value);
  if (value instanceof Uint8Array) return path.resolve(Buffer.from(value).toString());
  if (typeof value === 'object' && value !== null && 'fd' in value && typeof value.fd === 'number') return opened.get(value.fd);
  return undefined;
}

/** @param {unknown} flags */
const opensForWriting = (flags) =>
  typeof flags === 'number' ? (flags & (real.constants.O_CREAT | real.constants.O_TRUNC)) !== 0 : /^[wax]/.test(String(flags ?? 'r'));

/** What a call is about; undefined if nobody observes that. @param {string} op @param {unknown[]} args @returns {Call | undefined} */
function describe(op, args) {
  if (observer === undefined || inside.getStore() !== undefined) return undefined;
  const first = pathOf(args[0]);
  const second = withTwoPaths.has(op) ? pathOf(args[1]) : undefined;
  const [file, to] = op === 'symlink' ? [second, undefined] : [first, second]; // a symlink's first argument is only text
  if (file === undefined || !(isIn(observer.root, file) || (to !== undefined && isIn(observer.root, to)))) return undefined;
  const writes = changing.has(op) || (op === 'open' && opensForWriting(args[1]));
  const fd = typeof args[0] === 'number' ? args[0] : /** @type {{ fd?: number } | null} */ (args[0])?.fd;
  return { op, path: file, writes, ...(to === undefined ? {} : { to }), ...(typeof fd === 'number' ? { fd } : {}) };
}

/**
 * The arguments that write or read about half of the bytes; undefined if the call cannot be done by half.
 * @param {string} op @param {unknown[]} args @returns {unknown[] | undefined}
 */
function halved(op, args) {
  const [target, data, ...rest] = args;
  if (op === 'writev' || op === 'readv') {
    const [first, ...others] = /** @type {Uint8Array[]} */ (data);
    return [target, others.length > 0 ? [first] : [first.subarray(0, Math.ceil(first.length / 2))], ...rest];
  }
  if (typeof data === 'string') {
    const bytes = Buffer.from(data);
    return op === 'write'
      ? [target, bytes, 0, Math.ceil(bytes.length / 2), rest[0]]
      : [target, bytes.subarray(0, bytes.length >> 1), ...rest];
  }
  const options = /** @type {{ buffer?: Uint8Array, offset?: number, length?: number, position?: number } | undefined} */ (
    [data, rest[0]].find((value) => typeof value === 'object' && value !== null && !ArrayBuffer.isView(value))
  );
  const buffer = ArrayBuffer.isView(data) ? data : options?.buffer;
  if (buffer === undefined) return undefined;
  if (op !== 'write' && op !== 'read') {
    const view = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    return [target, view.subarray(0, view.length >> 1), ...rest];
  }
  const [offset, length, position] = options
    ? [options.offset, options.length, options.position]
    : /** @type {(number | undefined)[]} */ (rest);
  const all = length ?? buffer.byteLength - (offset ?? 0);
  return [target, buffer, offset ?? 0, Math.ceil(all / 2), position ?? null];
}

/**
 * What is done in place of a disturbed call: perhaps the call with other arguments, perhaps an error after it.
 * @param {Disturbance} disturbance @param {string} op @param {unknown[]} args @returns {{ args?: unknown[], error?: Error }}
 */
function inPlaceOf(disturbance, op, args) {
  if ('short' in disturbance) return { args: halved(op, args) ?? args };
  if (op === 'close') return { args, error: disturbance.error }; // Linux closes a descriptor even when close fails
  if (op === 'writeFile' || op === 'appendFile') {
    const half = halved(op, args);
    return half === undefined ? { error: disturbance.error } : { args: half, error: disturbance.error };
  }
  return { error: disturbance.error };
}

/** @param {string} op @param {unknown[]} args @param {unknown} result */
function keepDescriptors(op, args, result) {
  if (op === 'open') {
    const fd = typeof result === 'number' ? result : /** @type {{ fd: number }} */ (result).fd;
    opened.set(fd, pathOf(args[0]) ?? '');
    if (typeof result !== 'number' && Object.hasOwn(/** @type {object} */ (result), 'close')) putMethod(result, 'close');
  }
}

/** @param {unknown[]} args */
function forgetDescriptor(args) {
  const fd = typeof args[0] === 'number' ? args[0] : /** @type {{ fd: number }} */ (args[0]).fd;
  opened.delete(fd);
}

/** @typedef {(...args: any[]) => any} Any */

/**
 * @param {string} op @param {Any} original takes (path or descriptor, ...)
 * @returns {Any}
 */
function synchronous(op, original) {
  return (...args) => {
    const call = describe(op, args);
    const disturbance = call && observer?.before(call);
    const after = observer?.after;
    const { args: given, error } = disturbance === undefined ? { args, error: undefined } : inPlaceOf(disturbance, op, args);
    if (op === 'close') forgetDescriptor(args);
    const result = given && inside.run(true, () => original(...given));
    if (error !== undefined) {
      if (op === 'exists') return false; // it never throws: what cannot be looked at is not there
      throw error;
    }
    keepDescriptors(op, args, result);
    if (call) after?.(call);
    return result;
  };
}

/** @param {string} op @param {Any} original takes (path, descriptor or handle, ...) and returns a promise @returns {Any} */
function promising(op, original) {
  return (...args) => {
    const call = describe(op, args);
    const disturbance = call && observer?.before(call);
    const after = observer?.after;
    const { args: given, error } = disturbance === undefined ? { args, error: undefined } : inPlaceOf(disturbance, op, args);
    if (op === 'close') forgetDescriptor(args);
    return (async () => {
      const result = given && (await inside.run(true, () => original(...given)));
      if (error !== undefined) throw error;
      keepDescriptors(op, args, result);
      if (call) after?.(call);
      return result;
    })();
  };
}

/** @param {string} op @param {Any} original takes (path or descriptor, ..., callback) @returns {Any} */
function withCallback(op, original) {
  return (...args) => {
    const callback = args.at(-1);
    if (typeof callback !== 'function') return original(...args);
    const values = args.slice(0, -1);
    const call = describe(op, values);
    const disturbance = call && observer?.before(call);
    const after = observer?.after;
    const { args: given, error } = disturbance === undefined ? { args: values, error: undefined } : inPlaceOf(disturbance, op, values);
    if (op === 'close') forgetDescriptor(values);
    const done = AsyncResource.bind((/** @type {Error | null} */ failure, /** @type {unknown[]} */ ...results) => {
      const problem = error ?? failure;
      if (problem) return callback(problem);
      keepDescriptors(op, values, results[0]);
      if (call) after?.(call);
      return callback(problem ?? null, ...results);
    });
    if (given === undefined) process.nextTick(done, null);
    else inside.run(true, () => original(...given, done));
  };
}

/** @param {Record<string, any>} target @param {string} name @param {Any} replacement */
function put(target, name, replacement) {
  // Some functions carry more than code: realpath.native, the names that util.promisify gives to results.
  const { length: _, prototype: __, ...kept } = Object.getOwnPropertyDescriptors(target[name]);
  target[name] = Object.defineProperties(replacement, kept);
}

/** Puts a method of FileHandle in its place, on the prototype or, as Node has `close`, on each handle. @param {any} owner @param {string} method */
function putMethod(owner, method) {
  const original = owner[method];
  const intercepted = promising(ofHandle[method], (handle, ...args) => original.apply(handle, args));
  put(
    owner,
    method,
    /** @this {unknown} */ function (...args) {
      return intercepted(this, ...args);
    },
  );
}

/** @type {any} */
const functions = fs;
/** @type {any} */
const promises = fsPromises;
for (const op of [...byPath, ...byDescriptor]) {
  if (typeof functions[`${op}Sync`] === 'function') put(functions, `${op}Sync`, synchronous(op, functions[`${op}Sync`]));
  if (typeof functions[op] === 'function' && op !== 'exists') put(functions, op, withCallback(op, functions[op]));
  if (typeof promises[op] === 'function') put(promises, op, promising(op, promises[op]));
}
const nothing = await fsPromises.open(os.devNull);
const methods = Object.getPrototypeOf(nothing);
for (const method of Object.keys(ofHandle)) if (Object.hasOwn(methods, method)) putMethod(methods, method);
await nothing.close();
syncBuiltinESMExports();
