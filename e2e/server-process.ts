/** `scone-infer serve` as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { ROOT } from '../tools/setup/root.mjs';

export interface ServerProcess {
  readonly url: string;
  readonly process: ChildProcess;
  /** All that it wrote. */
  readonly said: () => string;
  readonly exit: Promise<number | null>;
}

/** @returns once it serves */
export async function startServer(cwd: string, args: readonly string[], key: string): Promise<ServerProcess> {
  const main = path.join(ROOT, 'apps/infer/dist/main.js');
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--json', ...args], {
    cwd,
    env: { ...process.env, SCONE_INFER_API_KEY: key },
  });
  let [out, err] = ['', ''];
  child.stderr.on('data', (data: Buffer) => {
    err += data;
  });
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) => {
      out += data;
      if (out.includes('\n')) resolve(JSON.parse(out).url);
    });
    child.on('close', (code) => reject(new Error(`the server ended with ${code}: ${err}`)));
  });
  return { url, process: child, said: () => out + err, exit };
}
