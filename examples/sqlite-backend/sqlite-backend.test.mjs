import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { registerBackend } from '@sconelm/offload-store';
import { backendCases } from '@sconelm/offload-store/conformance';
import Database from 'libsql';
import { sqliteBackend } from './sqlite-backend.mjs';

const folder = mkdtempSync(join(tmpdir(), 'sqlite-backend-'));
after(() => rmSync(folder, { recursive: true }));

let count = 0;
registerBackend(sqliteBackend);
const cases = backendCases({
  freshUrl: () => `sqlite:${join(folder, `${count++}.db`)}`,
  module: new URL('./sqlite-backend.mjs', import.meta.url),
  parallelWriters: false,
  damageRow(url, id) {
    const database = new Database(url.slice('sqlite:'.length));
    const [number] = database.prepare(`SELECT number FROM stores WHERE state = 'published'`).raw().all().flat();
    database.prepare(`UPDATE rows_${number} SET bytes = zeroblob(length(bytes)) WHERE id = ?`).run(id);
    database.close();
  },
});
for (const { name, run } of cases) test(name, run);
