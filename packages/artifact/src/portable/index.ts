/** What browsers need of artifacts: checksums and manifests of bytes that are there already, and the errors. */
export { ArtifactError, type ArtifactErrorCode, asArtifactError, CorruptArtifactError, MissingArtifactError } from '../errors.js';
export { crc32 } from './crc32.js';
export { formatManifest, type ManifestForm, parseManifest } from './manifest-text.js';
