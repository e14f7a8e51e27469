/** Debian packages that only tests need: installed where that takes no password. Without one some tests are skipped and say so: it stops nobody. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';

/**
 * @param {string} title of what is installed and what for
 * @param {readonly string[]} names of packages, of which the first that can be had is installed
 * @param {string} otherwise what to do about it, where it cannot be installed
 */
export function installDebianPackage(title, names, otherwise) {
  const debian = existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  const root = process.getuid?.() === 0;
  if (!debian || (!root && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0)) {
    process.stderr.write(`${otherwise}\n`);
    return;
  }
  process.stderr.write(`Installing ${title}:\n`);
  const install = (/** @type {string} */ name) => runAsRoot(root, ['apt-get', 'install', '-y', '-q', '--no-install-recommends', name]);
  if (!runAsRoot(root, ['apt-get', 'update', '-q']) || !names.some(install)) process.stderr.write(`That failed. ${otherwise}\n`);
}

/** @param {boolean} root whether this process is @param {readonly string[]} command */
function runAsRoot(root, command) {
  const [file, ...args] = [...(root ? [] : ['sudo', '-n']), ...command];
  process.stderr.write(`  ${[file, ...args].join(' ')}\n`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(file, args, { stdio: ['ignore', 'ignore', 2], env: environment }).status === 0;
}
