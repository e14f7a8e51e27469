/** Einstein summation: contractions as matrix products. */
import { ShapeError } from '../errors.js';
import { formatShape } from '../shape.js';
import type { Tensor } from '../tensor.js';

interface Labelled {
  readonly labels: string;
  readonly tensor: Tensor;
}

/** Sums a tensor over the labels that nobody needs. */
function reduceTo({ labels, tensor }: Labelled, needed: string): Labelled {
  const axes = [...labels].flatMap((label, axis) => (needed.includes(label) ? [] : [axis]));
  return axes.length === 0
    ? { labels, tensor }
    : { labels: [...labels].filter((label) => needed.includes(label)).join(''), tensor: tensor.sum(axes) };
}

/** The same tensor with its axes in the order of `labels`. */
function order({ labels, tensor }: Labelled, wanted: string): Tensor {
  return tensor.transpose([...wanted].map((label) => labels.indexOf(label)));
}

function contract(a: Labelled, b: Labelled, needed: string): Labelled {
  const [x, y] = [reduceTo(a, b.labels + needed), reduceTo(b, a.labels + needed)];
  const both = [...x.labels].filter((label) => y.labels.includes(label));
  const batch = both.filter((label) => needed.includes(label));
  const summed = both.filter((label) => !needed.includes(label));
  const rows = [...x.labels].filter((label) => !both.includes(label));
  const columns = [...y.labels].filter((label) => !both.includes(label));
  const extent = (labels: readonly string[], from: Labelled) => labels.map((label) => from.tensor.shape[from.labels.indexOf(label)]);
  const product = (extents: readonly number[]) => extents.reduce((p, n) => p * n, 1);
  const [B, M, K, N] = [extent(batch, x), extent(rows, x), extent(summed, x), extent(columns, y)];
  const left = order(x, [...batch, ...rows, ...summed].join('')).reshape([product(B), product(M), product(K)]);
  const right = order(y, [...batch, ...summed, ...columns].join('')).reshape([product(B), product(K), product(N)]);
  return { labels: [...batch, ...rows, ...columns].join(''), tensor: left.matmul(right).reshape([...B, ...M, ...N]) };
}

/**
 * Einstein summation over labels of one letter: `einsum('bij,bjk->bik', a, b)`. Operands are contracted from left to right.
 * @throws {ShapeError} if the labels do not fit the operands
 */
export function einsum(expression: string, ...operands: readonly Tensor[]): Tensor {
  const fail = (why: string) => new ShapeError(`einsum '${expression}': ${why}`, "Write it like 'bij,bjk->bik', a letter per axis.");
  const match = /^([a-zA-Z,]*)->([a-zA-Z]*)$/.exec(expression.replaceAll(' ', ''));
  if (match === null) throw fail('not of the form labels,labels->labels');
  const labels = match[1].split(',');
  const output = match[2];
  if (labels.length !== operands.length) throw fail(`labels for ${labels.length} operands, but ${operands.length} given`);
  const extents = new Map<string, number>();
  labels.forEach((each, i) => {
    const { shape } = operands[i];
    if (each.length !== shape.length || new Set(each).size !== each.length)
      throw fail(`'${each}' for ${formatShape(shape)}: one letter per axis, each once`);
    [...each].forEach((label, axis) => {
      const known = extents.get(label) ?? shape[axis];
      if (known !== shape[axis]) throw fail(`'${label}' is ${known} and ${shape[axis]}`);
      extents.set(label, known);
    });
  });
  if (new Set(output).size !== output.length || [...output].some((label) => !extents.has(label)))
    throw fail(`'${output}' repeats a letter, or has a new one`);
  const [first, ...rest] = labels.map((each, i) => ({ labels: each, tensor: operands[i] }));
  const result = rest.reduce((left, right, i) => contract(left, right, output + labels.slice(i + 2).join('')), first);
  return order(reduceTo(result, output), output);
}
