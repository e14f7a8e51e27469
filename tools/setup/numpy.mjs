/** A Python with numpy, for the test of the reference that exported models carry. */
import { spawnSync } from 'node:child_process';
import { installDebianPackage } from './debian-package.mjs';

/** @returns {string | undefined} */
export function findNumpy() {
  return ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import numpy'], { stdio: 'ignore' }).status === 0);
}

/** Installs Debian's. */
export function ensureNumpy() {
  const otherwise = 'No Python with numpy here: the test of exported models’ reference will be skipped.';
  if (findNumpy() === undefined) installDebianPackage('numpy for tests', ['python3-numpy'], otherwise);
}
