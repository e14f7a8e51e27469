/** The oldest Node that everything here runs on. */
import { SetupError } from './error.mjs';

const OLDEST = [20, 19];

/**
 * @param {string} version such as `20.19.0`
 * @throws {SetupError} if it is too old
 */
export function expectNode(version) {
  const [major, minor] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new SetupError(
    `this is Node ${version}, but Scone needs ${OLDEST.join('.')} or newer`,
    'Install Node 20.19 or newer (https://nodejs.org), for example with a version manager.',
  );
}
