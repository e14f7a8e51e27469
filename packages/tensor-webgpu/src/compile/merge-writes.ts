/** Writes of rows into caches of one shape at the same positions become one op: a model's layers append in one dispatch instead of one each. */
import type { Node } from '../graph/op.js';
import { variableOp } from '../graph/primitives/leaf.js';
import { writeRowsOp } from '../ops/update.js';
import { applyAll, type Tensor } from '../tensor.js';
import { throughViews } from './fuse.js';
import type { UpdateTarget } from './lowered.js';

/** What must agree for two writes to be one. */
function keyOf({ inputs, attributes }: Node): string {
  const [cache, rows, positions] = inputs;
  const types = [cache, rows].map(({ shape, dtype }) => `${dtype}[${shape.join()}]`).join();
  return `${types} ${positions.node.id}.${positions.index} ${JSON.stringify(attributes)}`;
}

/** @param maxStorageBuffers bindings of a kernel: two for each cache and one for the positions */
export function mergeWrites(updates: readonly UpdateTarget[], maxStorageBuffers: number): readonly UpdateTarget[] {
  const groups = new Map<string, UpdateTarget[]>();
  for (const update of updates) {
    const { node } = update.value;
    // Rows out of a variable may be rows of a cache that is written.
    if (node.op.name !== writeRowsOp.name || throughViews(node.inputs[1]).node.op.name === variableOp.name) continue;
    const key = keyOf(node);
    groups.set(key, [...(groups.get(key) ?? []), update]);
  }
  const most = Math.floor((maxStorageBuffers - 1) / 2);
  const merged = new Map<UpdateTarget, Tensor>();
  for (const group of groups.values()) {
    for (let from = 0; from < group.length; from += most) {
      const part = group.slice(from, from + most);
      const nodes = part.map(({ value }) => value.node);
      const operands = [...nodes.map(({ inputs }) => inputs[0]), ...nodes.map(({ inputs }) => inputs[1]), nodes[0].inputs[2]];
      const values = applyAll(writeRowsOp, operands, nodes[0].attributes as { readonly column: number });
      part.forEach((update, i) => {
        merged.set(update, values[i]);
      });
    }
  }
  return updates.map((update) => ({ leaf: update.leaf, value: merged.get(update) ?? update.value }));
}
