/** How commands fail: bad usage (exit code 2), interrupted (130), and everything with a remedy (1). */

/** The command line or its configuration is wrong. */
export class UsageError extends Error {
  readonly code = 'USAGE';
  readonly remedy: string;
  constructor(message: string, remedy = 'Run with --help to see the options.') {
    super(message);
    this.name = new.target.name;
    this.remedy = remedy;
  }
}

/** Ctrl-C: what was done is kept. */
export class InterruptedError extends Error {
  readonly code = 'INTERRUPTED';
  readonly remedy = 'Run the same command again to go on from here.';
  constructor() {
    super('interrupted');
    this.name = new.target.name;
  }
}

export interface Explained {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

/** An error in its parts where it has a code and a remedy, as the typed errors of every package have. */
export function explained(error: unknown): Explained | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('remedy' in error)) return undefined;
  return { code: String(error.code), message: error.message, remedy: String(error.remedy) };
}

export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? 2 : error instanceof InterruptedError ? 130 : 1;
}
