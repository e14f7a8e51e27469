/** Runs the built commands in processes of their own, as a user would. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface CommandOptions {
  /** Sends Ctrl-C when this appears on stderr. */
  readonly interruptAt?: RegExp;
  readonly env?: NodeJS.ProcessEnv;
  /** On standard input. */
  readonly input?: string;
}

export type Command = (app: 'train' | 'infer', args: readonly string[], options?: CommandOptions) => Promise<Outcome>;

/** A temporary folder, removed after the tests of the file, and a way to run commands in it. */
export function commandsInFolder(): { readonly folder: string; readonly command: Command } {
  const folder = mkdtempSync(path.join(tmpdir(), 'sconelm-e2e-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const command: Command = (app, args, { interruptAt, env = {}, input } = {}) =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [path.join(ROOT, `apps/${app}/dist/main.js`), ...args], {
        cwd: folder,
        env: { ...process.env, ...env },
      });
      if (input !== undefined) child.stdin.end(input);
      let [out, err] = ['', ''];
      child.stdout.on('data', (data: Buffer) => {
        out += data;
      });
      child.stderr.on('data', (data: Buffer) => {
        const before = err;
        err += data;
        if (interruptAt?.test(err) === true && !interruptAt.test(before)) child.kill('SIGINT');
      });
      child.on('close', (code) => resolve({ code, out, err }));
    });
  return { folder, command };
}
