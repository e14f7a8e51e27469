/**
 * Mesa's Vulkan drivers from Debian or Ubuntu, in a version that Dawn accepts (25 or newer): bookworm has it in its backports. Either installed
 * by apt-get, or downloaded by it as an ordinary user and unpacked into a folder.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { SetupError } from './error.mjs';

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];
const BACKPORTS_LIST = '/etc/apt/sources.list.d/sconelm-backports.list';
const BACKPORTS = 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main';
const SOURCES = '/etc/apt/sources.list.d';

/**
 * @param {string} text of /etc/os-release
 * @returns {{ debian: boolean, codename: string }}
 */
export function parseRelease(text) {
  const fields = new Map(text.split('\n').map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1).replaceAll('"', '')]));
  const family = `${fields.get('ID') ?? ''} ${fields.get('ID_LIKE') ?? ''}`.split(' ');
  return { debian: family.includes('debian') || family.includes('ubuntu'), codename: fields.get('VERSION_CODENAME') ?? '' };
}

function release() {
  return existsSync('/etc/os-release') ? parseRelease(readFileSync('/etc/os-release', 'utf8')) : { debian: false, codename: '' };
}

/** Whether apt has to be told of bookworm's backports: two entries for one suite are an error. */
function needsBackports() {
  if (release().codename !== 'bookworm') return false;
  const files = existsSync(SOURCES) ? readdirSync(SOURCES).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const present = ['/etc/apt/sources.list', ...files.map((name) => path.join(SOURCES, name))].filter((file) => existsSync(file));
  return !present.some((file) => readFileSync(file, 'utf8').includes('bookworm-backports'));
}

/** The commands that install the driver here, as root. */
function commands() {
  const { codename } = release();
  const suite = codename === 'bookworm' ? ['-t', 'bookworm-backports'] : [];
  return [
    ['apt-get', 'update', '-q'],
    ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...suite, ...PACKAGES],
  ];
}

/** What a person can type where set-up may not. */
export function manualCommands() {
  if (!release().debian)
    return 'Install a Vulkan driver (Mesa 25 or newer has lavapipe, which needs no GPU), then run the same command again.';
  const backports = needsBackports() ? [`echo '${BACKPORTS}' | sudo tee ${BACKPORTS_LIST}`] : [];
  return `Run: ${[...backports, ...commands().map((command) => `sudo ${command.join(' ')}`)].join(' && ')}; or, without root: node tools/setup.mjs --rootless`;
}

/** @param {string[]} command */
function run(command, environment = {}) {
  const { status } = spawnSync(command[0], command.slice(1), {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...environment },
  });
  if (status !== 0) throw new SetupError(`'${command.join(' ')}' failed (its output is above)`, manualCommands());
}

/** Installs the driver into the system, as root or through sudo that asks for no password. @throws {SetupError} */
export function installMesa() {
  if (!release().debian)
    throw new SetupError('this system is neither Debian nor Ubuntu, so the driver is not installed for you', manualCommands());
  const root = process.getuid?.() === 0;
  if (!root && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) {
    throw new SetupError('installing a driver needs root, and sudo asks for a password', manualCommands());
  }
  const prefix = root ? [] : ['sudo', '-n'];
  const list = needsBackports();
  process.stderr.write('Installing Mesa’s Vulkan driver for the CPU (lavapipe) as follows:\n');
  if (list) process.stderr.write(`  echo '${BACKPORTS}' > ${BACKPORTS_LIST}\n`);
  for (const command of commands()) process.stderr.write(`  ${[...prefix, ...command].join(' ')}\n`);
  if (list) run([...prefix, 'sh', '-c', `echo '${BACKPORTS}' > ${BACKPORTS_LIST}`]);
  for (const command of commands()) run([...prefix, ...command]);
}

/**
 * Downloads the driver and what it needs as an ordinary user, and unpacks it into `directory`: the system stays as it is.
 * @param {string} directory
 * @returns {Record<string, string>} the environment in which Vulkan's loader finds it
 */
export function unpackMesa(directory) {
  const { debian } = release();
  if (!debian) throw new SetupError('--rootless uses apt-get, which this system has not', manualCommands());
  process.stderr.write(`Unpacking Mesa's Vulkan driver for the CPU (lavapipe) into ${directory}; the system is not changed.\n`);
  const state = path.join(directory, 'apt');
  const lists = path.join(state, 'sources.list.d');
  for (const folder of ['lists/partial', 'cache/archives/partial', 'sources.list.d'])
    mkdirSync(path.join(state, folder), { recursive: true });
  // An empty dpkg status would pull in the whole system: the real one tells what is there already.
  for (const file of existsSync(SOURCES) ? readdirSync(SOURCES) : [])
    writeFileSync(path.join(lists, file), readFileSync(path.join(SOURCES, file)));
  if (needsBackports()) writeFileSync(path.join(lists, path.basename(BACKPORTS_LIST)), `${BACKPORTS}\n`);
  const options = [
    `Dir::State::lists=${path.join(state, 'lists')}`,
    `Dir::Cache=${path.join(state, 'cache')}`,
    `Dir::Etc::sourceparts=${lists}`,
    'Debug::NoLocking=true',
    'APT::Sandbox::User=',
  ].flatMap((option) => ['-o', option]);
  const [update, install] = commands();
  run([...update, ...options]);
  run([...install, ...options, '--reinstall', '--download-only']);
  const archives = path.join(state, 'cache', 'archives');
  const root = path.join(directory, 'root');
  for (const file of readdirSync(archives)) if (file.endsWith('.deb')) run(['dpkg-deb', '-x', path.join(archives, file), root]);
  const drivers = path.join(root, 'usr/share/vulkan/icd.d');
  const file = existsSync(drivers) ? readdirSync(drivers).find((name) => name.startsWith('lvp_icd')) : undefined;
  if (file === undefined) throw new SetupError('the downloaded packages hold no lavapipe driver', manualCommands());
  const libraries = readdirSync(path.join(root, 'usr/lib')).map((name) => path.join(root, 'usr/lib', name));
  return {
    VK_DRIVER_FILES: path.join(drivers, file),
    LD_LIBRARY_PATH: [...libraries, process.env.LD_LIBRARY_PATH ?? ''].filter((entry) => entry !== '').join(':'),
  };
}
