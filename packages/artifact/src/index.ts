/** Files that are whole or absent, checksums, versioned manifests and locks. */
export { crc32Blocks, defaultBlockBytes, sha256, sha256File, verifyBlocks } from './checksum.js';
export {
  ArtifactError,
  type ArtifactErrorCode,
  asArtifactError,
  CorruptArtifactError,
  LockedArtifactError,
  MissingArtifactError,
  withArtifactErrors,
} from './errors.js';
export { acquireLock, type Lock } from './lock.js';
export { readManifest, writeManifest } from './manifest.js';
export { crc32 } from './portable/crc32.js';
export { formatManifest, type ManifestForm, parseManifest } from './portable/manifest-text.js';
export {
  makeDirectory,
  promoteDirectory,
  publishBytes,
  publishDirectory,
  publishFile,
  removeDirectory,
  settleDirectory,
  syncDirectory,
} from './publish.js';
