/** Key-value stores: rows under their id as a big-endian key. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { bytesOf, eachChunk } from '../store/data.mjs';

const require = createRequire(import.meta.url);

/** @type {import('../store/engines.mjs').Engine} */
const lmdb = {
  name: 'lmdb',
  async build(folder, form) {
    const { open } = require('lmdb');
    const database = open({ path: path.join(folder, 'lmdb'), encoding: 'binary', keyEncoding: 'uint32' });
    const { rowBytes } = form;
    await eachChunk(form, (ids, rows) =>
      database.transaction(() => {
        const bytes = Buffer.from(bytesOf(rows).buffer);
        for (let i = 0; i < ids.length; i++) database.put(ids[i], bytes.subarray(i * rowBytes, (i + 1) * rowBytes));
      }),
    );
    await database.flushed;
    await database.close();
  },
  async open(folder, { rowBytes }) {
    const { open } = require('lmdb');
    const database = open({ path: path.join(folder, 'lmdb'), encoding: 'binary', keyEncoding: 'uint32', readOnly: true });
    return {
      read(ids, into) {
        const bytes = bytesOf(into);
        for (let i = 0; i < ids.length; i++) bytes.set(database.getBinaryFast(ids[i]).subarray(0, rowBytes), i * rowBytes);
      },
      close: () => database.close(),
    };
  },
  files: (folder) => [path.join(folder, 'lmdb', 'data.mdb')],
};

/** @type {import('../store/engines.mjs').Engine} */
const classicLevel = {
  name: 'classic-level',
  async build(folder, form) {
    const database = openLevel(folder);
    const { rowBytes } = form;
    await eachChunk(form, async (ids, rows) => {
      const bytes = Buffer.from(bytesOf(rows).buffer);
      const put = (/** @type {number} */ id, /** @type {number} */ i) => ({
        type: 'put',
        key: keyOf(id),
        value: bytes.subarray(i * rowBytes, (i + 1) * rowBytes),
      });
      await database.batch(Array.from(ids, put), { sync: true });
    });
    await database.compactRange(keyOf(0), keyOf(form.rows));
    await database.close();
  },
  async open(folder, { rowBytes }) {
    const database = openLevel(folder);
    await database.open();
    return {
      async read(ids, into) {
        const bytes = bytesOf(into);
        const rows = await database.getMany(Array.from(ids, keyOf));
        for (let i = 0; i < rows.length; i++) bytes.set(rows[i], i * rowBytes);
      },
      close: () => database.close(),
    };
  },
  files: (folder) => [path.join(folder, 'level')],
};

/** @param {string} folder */
function openLevel(folder) {
  const { ClassicLevel } = require('classic-level');
  return new ClassicLevel(path.join(folder, 'level'), { keyEncoding: 'buffer', valueEncoding: 'buffer', compression: false });
}

/** @param {number} id */
function keyOf(id) {
  const key = Buffer.allocUnsafe(4);
  key.writeUInt32BE(id);
  return key;
}

export const stores = [lmdb, classicLevel];
