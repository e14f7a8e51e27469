/** Which Scone this is. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
  readonly repository: { readonly directory: string };
};

/** This package's version. */
export const { version } = manifest;

/**
 * The commit of Scone's checkout that the package in `folder` lies in, `-dirty` where it was changed since. An installed package has none: the
 * repository around it is its user's.
 */
export async function commitOf(folder = FOLDER): Promise<string | undefined> {
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd: folder })).stdout.trim();
  try {
    const place = await git('ls-files', '--full-name', 'package.json');
    if (place !== `${manifest.repository.directory}/package.json`) return undefined;
    return await git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*');
  } catch {
    return undefined; // no repository, or no git
  }
}
