export * from './index.browser.js';
export {
  checkpointFolder,
  listCheckpoints,
  openDecoder,
  openModel,
  publishCheckpoint,
  type RunManifest,
  readRunManifest,
  runPaths,
  writeRunManifest,
} from './run-folder.js';
