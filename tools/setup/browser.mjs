/** Chromium for the tests that run in a browser. Without it they are skipped and say so: a missing browser stops nobody. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';

const FILES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const COMMANDS = [
  ['apt-get', 'update', '-q'],
  ['apt-get', 'install', '-y', '-q', '--no-install-recommends', 'chromium'],
];

/** @returns {string | undefined} the file of a Chromium: `CHROMIUM`'s, or the system's */
export function findBrowser() {
  return [process.env.CHROMIUM ?? '', ...FILES].find((file) => file !== '' && existsSync(file));
}

/** Installs Debian's Chromium where that needs no password. (Ubuntu's package is a snap, which containers cannot run.) */
export function ensureBrowser() {
  if (findBrowser() !== undefined) return;
  const debian = existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  const root = process.getuid?.() === 0;
  if (!debian || (!root && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0)) {
    process.stderr.write('No Chromium here: the tests in a browser will be skipped. Install one, or set CHROMIUM to its file.\n');
    return;
  }
  const prefix = root ? [] : ['sudo', '-n'];
  process.stderr.write('Installing Chromium for the tests in a browser:\n');
  for (const command of COMMANDS) {
    const [file, ...args] = [...prefix, ...command];
    process.stderr.write(`  ${[file, ...args].join(' ')}\n`);
    const { status } = spawnSync(file, args, {
      stdio: ['ignore', 'ignore', 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status !== 0) {
      process.stderr.write('Chromium was not installed: the tests in a browser will be skipped.\n');
      return;
    }
  }
}
