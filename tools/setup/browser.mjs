/** Chromium for the tests that run in a browser. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { installDebianPackage } from './debian-package.mjs';

const FILES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const OTHERWISE = 'No Chromium here: the tests in a browser will be skipped. Install one, or set CHROMIUM to its file.';

/** @returns {string | undefined} the file of a Chromium: `CHROMIUM`'s, or the system's */
export function findBrowser() {
  return [process.env.CHROMIUM ?? '', ...FILES].find((file) => file !== '' && existsSync(file));
}

/** Installs Debian's. (Ubuntu's package is a snap, which containers cannot run.) */
export function ensureBrowser() {
  if (findBrowser() === undefined) installDebianPackage('Chromium for the tests in a browser', ['chromium'], OTHERWISE);
}
