/** Writers in other processes, to be killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { StoreRequest } from '../index.js';

export interface WriterJob {
  readonly url: string;
  /** That exports the backend. */
  readonly module: string | URL;
  readonly description: StoreRequest;
  readonly generation: number;
  /** Rows in a call. */
  readonly batch: number;
  /** Whether it publishes when all rows are written; else it waits. */
  readonly publishes: boolean;
}

export interface OtherWriter {
  /** Waits until it says so: the number of rows that are written after each call, `written` when all are, `publishing` before it publishes. */
  said(what: string | ((line: string) => boolean)): Promise<string>;
  /** Kills it with SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a process that writes the rows that are missing. */
export function startWriter({ url, module, description, generation, batch, publishes }: WriterJob): OtherWriter {
  const code = `
    import * as backendModule from ${JSON.stringify(String(module))};
    import { createStore } from ${JSON.stringify(built('index.js'))};
    import { registerBackends } from ${JSON.stringify(built('registry.js'))};
    import { rowsOf } from ${JSON.stringify(built('conformance/kit.js'))};
    registerBackends(backendModule);
    const writer = await createStore(${JSON.stringify(url)}, ${JSON.stringify(description)});
    console.log(writer.written);
    for (let id = writer.nextMissing(); id >= 0; id = writer.nextMissing(id)) {
      const ids = Uint32Array.from({ length: Math.min(${batch}, ${description.rows} - id) }, (_, i) => id + i);
      await writer.write(ids, rowsOf(ids, ${description.width}, ${generation}));
      console.log(writer.written);
    }
    console.log('${publishes ? 'publishing' : 'written'}');
    ${publishes ? "await writer.publish(); console.log('published');" : ''}
    setTimeout(() => {}, 600_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let problems = '';
  child.stderr.on('data', (data: Buffer) => {
    problems += data;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async said(what) {
      const isIt = typeof what === 'string' ? (line: string) => line === what : what;
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) assert.fail(`the writing process ended too early: ${problems}`);
        if (isIt(value)) return value;
      }
    },
    async kill() {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** Other processes run compiled code: beside this file once it is built, in dist/ while tests run the TypeScript sources. */
function built(file: string): string {
  return new URL((import.meta.url.endsWith('.ts') ? '../../dist/' : '../') + file, import.meta.url).href;
}
