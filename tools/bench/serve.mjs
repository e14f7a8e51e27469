/** The child's side of a bench: an engine in a process of its own, asked over lines of JSON. */
import process from 'node:process';
import { createInterface } from 'node:readline';

/**
 * @typedef {object} Prepared one case, ready to be timed
 * @property {(times: number) => Promise<void>} run runs it `times` over and waits for the last
 * @property {() => Promise<number[]>} check numbers that every engine must agree on; called once, before the first `run`
 * @property {Record<string, unknown>} [facts] what else the row says
 * @property {() => void} [dispose]
 */
/** @typedef {(spec: any) => Promise<Prepared> | Prepared} Maker */

/** @param {{ open: () => Promise<{ describe: string, ops: Record<string, Maker> }> }} engine */
export async function serve({ open }) {
  const answer = (/** @type {object} */ value) => process.stdout.write(`\u0001${JSON.stringify(value)}\n`);
  const fail = (/** @type {any} */ error) => answer({ error: String(error?.message ?? error).split('\n')[0] });
  let opened;
  try {
    opened = await open();
    answer({ ready: opened.describe });
  } catch (error) {
    fail(error);
    process.exit(1);
  }
  /** @type {Prepared | undefined} */
  let current;
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const { prepare, run } = JSON.parse(line);
      if (prepare !== undefined) {
        current?.dispose?.();
        current = undefined;
        const make = opened.ops[prepare.op];
        if (make === undefined) answer({ unsupported: 'not offered' });
        else {
          const started = performance.now();
          current = await make(prepare);
          const check = await current.check();
          answer({ check, coldMs: performance.now() - started, facts: current.facts });
        }
      } else {
        const started = performance.now();
        await current?.run(run);
        answer({ ms: (performance.now() - started) / run });
      }
    } catch (error) {
      fail(error);
    }
  }
  process.exit(0);
}
