export { loadCheckpoint, readCheckpoint, saveCheckpoint, writeCheckpoint } from './checkpoint.js';
export { Fingerprint, fingerprint } from './fingerprint.js';
export { type ExportOptions, exportModelFolder } from './huggingface/export.js';
export { type HubOptions, modelDirectory } from './huggingface/hub.js';
export { loadModelFolder, type ModelFolder, openModelFolder } from './huggingface/model-folder.js';
export * from './index.browser.js';
