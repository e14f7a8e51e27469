/** Groups elementwise nodes into chains: a node joins its consumers' chain when all of its consumers are in that one chain. */
import { isFloat } from '../dtype.js';
import type { Node } from '../graph/op.js';
import type { AdapterTraits } from '../kernels/kernel.js';
import { sameShape, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';

/** WebGPU promises eight storage buffers a stage; chains that would need more stay apart. */
const MAX_BINDINGS = 8;

/** A chain: the node whose value is stored, and every node computed for it in the same kernel. */
export interface Chain {
  readonly root: Node;
  readonly members: ReadonlySet<Node>;
}

function consumersOf(order: readonly Node[]): Map<Node, Set<Node>> {
  const consumers = new Map<Node, Set<Node>>();
  for (const node of order) {
    for (const { node: producer } of node.inputs) {
      const set = consumers.get(producer) ?? new Set();
      set.add(node);
      consumers.set(producer, set);
    }
  }
  return consumers;
}

/** What runs together. */
export interface Fusion {
  /** By root. */
  readonly chains: ReadonlyMap<Node, Chain>;
  /** The op whose kernel applies a chain to its result, by the chain's root. */
  readonly producers: ReadonlyMap<Node, Node>;
  /** Norms that their consumers compute as they read, and reshapes of them. */
  readonly onReading: ReadonlySet<Node>;
}

/** Every node a kernel of its own. */
export function unfused(order: readonly Node[]): Fusion {
  const chains = new Map(order.filter(({ op }) => op.kind === 'elementwise').map((root) => [root, { root, members: new Set([root]) }]));
  return { chains, producers: new Map(), onReading: new Set() };
}

export function fuse(order: readonly Node[], roots: readonly Tensor[], adapter: AdapterTraits): Fusion {
  const chains = fuseElementwise(order, roots);
  return { chains, producers: chainProducers(order, roots, chains), onReading: normalizedOnReading(order, roots, adapter) };
}

/**
 * @param order nodes, inputs before consumers
 * @param roots tensors that must exist in memory
 * @returns the chain of each node that is the root of one; the other elementwise nodes are inside chains
 */
function fuseElementwise(order: readonly Node[], roots: readonly Tensor[]): Map<Node, Chain> {
  const consumers = consumersOf(order);
  const stored = new Set(roots.map(({ node }) => node));
  const chainOf = new Map<Node, { root: Node; members: Set<Node>; loads: Set<Node> }>();
  const chains = new Map<Node, Chain>();
  // What a chain reads once it holds a node: the node's inputs that are not computed inside. Views are read through.
  const loadsOf = (node: Node) => node.inputs.map((input) => throughViews(input).node);
  for (const node of [...order].reverse()) {
    if (node.op.kind !== 'elementwise') continue;
    const users = consumers.get(node) ?? new Set();
    const candidates = new Set([...users].map((user) => chainOf.get(user)));
    const [chain] = candidates;
    const joins =
      !stored.has(node) &&
      candidates.size === 1 &&
      chain !== undefined &&
      sameShape(chain.root.outputs[0].shape, node.outputs[0].shape) &&
      new Set([...chain.loads, ...loadsOf(node)]).size <= MAX_BINDINGS;
    if (joins) {
      chain.members.add(node);
      chain.loads.delete(node);
      for (const load of loadsOf(node)) chain.loads.add(load);
      chainOf.set(node, chain);
    } else {
      const own = { root: node, members: new Set([node]), loads: new Set(loadsOf(node)) };
      chainOf.set(node, own);
      chains.set(node, own);
    }
  }
  return chains;
}

/** The tensor that a chain of strided views reads. */
export function throughViews(tensor: Tensor): Tensor {
  let current = tensor;
  while (current.node.op.kind === 'view') current = current.node.inputs[0];
  return current;
}

/**
 * Which chain an op's result goes to and nowhere else, for ops whose kernels can apply one before they store. A chain takes one op at most.
 * @returns by root of the chain
 */
function chainProducers(order: readonly Node[], roots: readonly Tensor[], chains: ReadonlyMap<Node, Chain>): Map<Node, Node> {
  const consumers = consumersOf(order);
  const stored = new Set(roots.filter(({ index }) => index === 0).map(({ node }) => node));
  const chainOf = new Map<Node, Chain>();
  for (const chain of chains.values()) for (const member of chain.members) chainOf.set(member, chain);
  /** The chain that alone consumes a node's first output, seen through reshapes; undefined where there is none. */
  const onlyChain = (node: Node): Chain | undefined => {
    if (stored.has(node)) return undefined;
    const users = [...(consumers.get(node) ?? [])];
    const reads = (user: Node, isFirst: boolean) => user.inputs.some((input) => input.node === node && (input.index === 0) === isFirst);
    const found = new Set(
      users.filter((user) => reads(user, true)).map((user) => (user.op.name === 'reshape' ? onlyChain(user) : chainOf.get(user))),
    );
    const [chain] = found;
    // The op runs where the chain stands: what reads its other outputs must come after.
    const isBefore = (user: Node) => chain !== undefined && (user.id < chain.root.id || chain.members.has(user));
    return found.size === 1 && !users.some((user) => reads(user, false) && isBefore(user)) ? chain : undefined;
  };
  const producers = new Map<Node, Node>();
  for (const node of order) {
    if (node.op.maxEpilogueOperands === undefined) continue;
    const chain = onlyChain(node);
    const [own] = node.outputs;
    const output = chain?.root.outputs[0];
    const fits =
      output !== undefined &&
      isFloat(own.dtype) &&
      output.dtype === own.dtype &&
      output.shape.at(-1) === own.shape.at(-1) &&
      sizeOf(output.shape) === sizeOf(own.shape);
    if (chain !== undefined && fits) producers.set(chain.root, node);
  }
  return producers;
}

/**
 * Norms that need no kernel and no memory, because every consumer normalises rows as it reads them; with the reshapes in between.
 * Of f32 alone: a rounded row would be another row.
 */
function normalizedOnReading(order: readonly Node[], roots: readonly Tensor[], adapter: AdapterTraits): Set<Node> {
  const consumers = consumersOf(order);
  const stored = new Set(roots.map(({ node }) => node));
  const found = new Set<Node>();
  for (const norm of order) {
    if (norm.op.rowNorm === undefined) continue;
    const [type] = norm.outputs;
    const passed = new Set<Node>([norm]);
    const takes = ({ op, inputs, outputs, attributes }: Node, from: Node): boolean =>
      inputs[0].node === from &&
      !inputs.slice(1).some(({ node }) => node === from) &&
      inputs[0].shape.at(-1) === type.shape.at(-1) &&
      op.takesNormalized?.(inputs, outputs, attributes, adapter) === true;
    const allTake = (node: Node): boolean =>
      !stored.has(node) &&
      [...(consumers.get(node) ?? [])].every((user) => {
        if (user.op.name !== 'reshape') return takes(user, node);
        passed.add(user);
        return allTake(user);
      });
    if (type.dtype === 'f32' && allTake(norm)) for (const node of passed) found.add(node);
  }
  return found;
}
