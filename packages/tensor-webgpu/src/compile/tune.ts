/** Measures the forms of kernels on the adapter at hand, one op at a time, and keeps what is the fastest. */
import type { Device } from '../device/device.js';
import { applyAll } from '../tensor.js';
import type { Choice } from './lowered.js';
import { Executable, lowerGraph } from './program.js';

/** A form that takes this many times the best one's first run is not run again. */
const HOPELESS = 2;
const RUNS = 3;

/** Milliseconds of one run, the shortest of a few. */
async function measure(device: Device, { op, inputs, attributes }: Choice, form: string, best: number): Promise<number> {
  using values = device.variables(Object.fromEntries(inputs.map((type, i) => [`input${i}`, type])));
  const operands = inputs.map((_, i) => values.get(`input${i}`).tensor);
  const outputs = Object.fromEntries(applyAll(op, operands, attributes).map((output, i) => [`output${i}`, output]));
  const graph = { inputs: {}, outputs, updates: [] };
  using executable = new Executable(
    device,
    graph,
    lowerGraph(device, graph, {}, () => form),
  );
  executable.run({});
  await device.finish();
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < RUNS && (i === 0 || shortest < best * HOPELESS); i++) {
    const started = performance.now();
    executable.run({});
    await device.finish();
    shortest = Math.min(shortest, performance.now() - started);
  }
  return shortest;
}

/** Measures the choices that are open. @returns whether any was */
export async function tune(
  device: Device,
  choices: readonly Choice[],
  onProgress?: (done: number, total: number) => void,
): Promise<boolean> {
  await device.tuning.load();
  const open = choices.filter(({ key, forms }) => forms.length > 1 && device.tuning.isOpen(key));
  for (const [done, choice] of open.entries()) {
    onProgress?.(done, open.length);
    let best = { form: choice.forms[0], time: Number.POSITIVE_INFINITY };
    for (const form of choice.forms) {
      const time = await measure(device, choice, form, best.time);
      // The form that is known to be good stays unless another is clearly faster.
      if (time < best.time * 0.95) best = { form, time };
    }
    device.tuning.set(choice.key, best.form);
  }
  if (open.length > 0) await device.tuning.save();
  return open.length > 0;
}
