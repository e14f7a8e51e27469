/** Leaves of the graph: what a program is given at each call, what it keeps between calls, and data known when it is built. */
import type { DType, TypedArray } from '../../dtype.js';
import { GraphError } from '../../errors.js';
import type { Shape } from '../../shape.js';
import { defineOp } from '../op.js';

/** A value given at each call of a program. */
export const inputOp = defineOp<{ name: string; shape: Shape; dtype: DType }>({
  name: 'input',
  kind: 'leaf',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  evaluate: (_, __, ___, { name }) => {
    throw new GraphError(`input '${name}' has no value`, 'Give the interpreter a value for every input.');
  },
});

/** Data known when the graph is built. */
export const literalOp = defineOp<{ data: TypedArray; shape: Shape; dtype: DType }>({
  name: 'literal',
  kind: 'leaf',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  evaluate: (_, [y], __, { data }) => y.set(data),
});

/** Memory that outlives programs: parameters, optimiser state, key-value caches. `slot` identifies it. */
export const variableOp = defineOp<{ slot: object; name: string; shape: Shape; dtype: DType }>({
  name: 'variable',
  kind: 'leaf',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  evaluate: (_, __, ___, { name }) => {
    throw new GraphError(`variable '${name}' has no value here`, 'Give the interpreter a value for every variable.');
  },
});
