/** A Valkey or Redis server for the tests of what speaks to one. */
import { NO_SERVER, SERVER } from '../valkey/servers.mjs';
import { installDebianPackage } from './debian-package.mjs';

/** Older Debians have Redis only. Tests start servers of their own; the package's service may sleep. */
export function ensureValkey() {
  if (SERVER !== undefined) return;
  installDebianPackage('a Valkey server for tests', ['valkey-server', 'redis-server'], `The tests on Valkey will be skipped: ${NO_SERVER}`);
}
