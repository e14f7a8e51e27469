/** `file:DIR`: rows in a few flat files, published by rename; writers that were killed go on from their journals. */
import { defineBackend } from '../backend.js';
import { type FolderForm, openFolderSink, removeFolder } from './file-folder.js';
import { shardFiles } from './file-layout.js';
import { openFileReader } from './file-reader.js';
import { openFileSink } from './file-sink.js';

const form: FolderForm = {
  descriptionHead: { kind: 'sconelm-store-unfinished', version: 3 },
  dataFiles: shardFiles,
  openSink: openFileSink,
};

export const fileBackend = defineBackend({
  scheme: 'file',
  openReader: openFileReader,
  openSink: (location, description, options) => openFolderSink(form, location, description, options),
  remove: removeFolder,
});
