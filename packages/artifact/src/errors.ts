/**
 * What can go wrong with files, as typed errors: a stable `code` for programs, a `message` that says what and where,
 * and a `remedy` in one imperative sentence for people.
 */
export type ArtifactErrorCode =
  | 'ARTIFACT_MISSING'
  | 'ARTIFACT_CORRUPT'
  | 'ARTIFACT_VERSION'
  | 'ARTIFACT_KIND'
  | 'ARTIFACT_LOCKED'
  | 'ARTIFACT_DISK_FULL'
  | 'ARTIFACT_IO';

/** The base of every error of this package. */
export class ArtifactError extends Error {
  readonly code: ArtifactErrorCode;
  readonly remedy: string;
  constructor(code: ArtifactErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.remedy = remedy;
  }
}

/** A file or folder that should be there is not. */
export class MissingArtifactError extends ArtifactError {
  constructor(path: string, cause?: unknown) {
    super('ARTIFACT_MISSING', `${path} does not exist`, 'Create it first, or correct the path.', cause);
  }
}

/** The content is not what its checksums, its length or its schema say. */
export class CorruptArtifactError extends ArtifactError {
  constructor(message: string, remedy = 'Make or copy this artifact again.', cause?: unknown) {
    super('ARTIFACT_CORRUPT', message, remedy, cause);
  }
}

/** Another live process writes here, or one whose life cannot be told from this machine. */
export class LockedArtifactError extends ArtifactError {
  constructor(message: string, remedy: string) {
    super('ARTIFACT_LOCKED', message, remedy);
  }
}

/** The code of an error of the operating system, or of Node where it refuses a path (a NUL in it) before asking the system. */
function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return undefined;
  return 'syscall' in error || error.code === 'ERR_INVALID_ARG_VALUE' ? error.code : undefined;
}

/**
 * Turns an error of the operating system into an ArtifactError (no space left and quota exceeded: ARTIFACT_DISK_FULL; no such
 * file: ARTIFACT_MISSING; any other: ARTIFACT_IO). Every other error is returned as it came.
 * @param path the file or folder the work was about, named in the message
 */
export function asArtifactError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || error instanceof ArtifactError) return error;
  if (errno === 'ENOENT') return new MissingArtifactError(path, error);
  const reason = error instanceof Error ? error.message : errno;
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    return new ArtifactError(
      'ARTIFACT_DISK_FULL',
      `no space left while writing ${path}: ${reason}`,
      'Free some space on that disk, then run the same command again; what was there before is untouched.',
      error,
    );
  }
  return new ArtifactError('ARTIFACT_IO', `cannot use ${path}: ${reason}`, 'Check the path, its permissions and the disk.', error);
}

/** Runs `work`; errors of the operating system come out as ArtifactErrors that name `path`. */
export async function withArtifactErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asArtifactError(error, path);
  }
}
