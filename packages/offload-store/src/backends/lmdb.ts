/** `lmdb:DIR`: rows in one LMDB file, read through its memory map; filled and published as a file store is. Needs the npm package `lmdb`. */
import { join } from 'node:path';
import { defineBackend } from '../backend.js';
import { type FolderForm, openFolderSink, removeFolder } from './file-folder.js';
import { ROWS_NAME } from './lmdb-environment.js';
import { openLmdbReader } from './lmdb-reader.js';
import { openLmdbSink } from './lmdb-sink.js';

const form: FolderForm = {
  descriptionHead: { kind: 'sconelm-store-lmdb-unfinished', version: 1 },
  dataFiles: (directory) => [join(directory, ROWS_NAME)],
  openSink: openLmdbSink,
};

export const lmdbBackend = defineBackend({
  scheme: 'lmdb',
  openReader: openLmdbReader,
  openSink: (location, description, options) => openFolderSink(form, location, description, options),
  remove: removeFolder,
});
