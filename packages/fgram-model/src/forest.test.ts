import { decoderLosses, decoderShapes, initialValues } from '@sconelm/decoder';
import { type Device, grad, hostTensor, openDevice, type Tensor } from '@sconelm/tensor-webgpu';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchForest, batchInputs, buildForest, embed, type Forest, fgramRows, fgramShapes, identityValues } from './index.js';

const K = 4;

/** The tokens on the way from a node's root to it, read from its ancestors. */
function pathOf(forest: Forest, node: number): number[] {
  const ancestors = [...forest.ancestors.subarray(node * K, (node + 1) * K)].filter((ancestor) => ancestor >= 0);
  return ancestors.reverse().map((ancestor) => forest.tokens[ancestor]);
}

describe('a forest', () => {
  it('has each distinct prefix once, depth-first, and leads every sequence to its last token', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: K }), { maxLength: 30 }), (sequences) => {
        const tokens = sequences.flat();
        const lengths = sequences.map((sequence) => sequence.length);
        const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));
        const ids = sequences.map((_, i) => 100 + i);
        const forest = buildForest({ tokens, starts, lengths, ids }, K, 8);
        const prefixes = new Set(sequences.flatMap((sequence) => sequence.map((_, i) => sequence.slice(0, i + 1).join())));
        expect(forest.nodes).toBe(prefixes.size);
        const paths = Array.from({ length: forest.nodes }, (_, node) => pathOf(forest, node).join());
        expect(new Set(paths)).toEqual(prefixes);
        sequences.forEach((sequence, i) => {
          expect(paths[forest.last[i]]).toBe(sequence.join());
          expect(sequences[forest.ids[forest.last[i]] - 100].join()).toBe(sequence.join());
        });
        expect([...forest.ids].filter((id) => id >= 0).length).toBe(new Set(forest.last).size);
        for (let node = 0; node < forest.nodes; node++) {
          const inside = paths.map((path, i) => (i === node || path.startsWith(`${paths[node]},`) ? i : -1)).filter((i) => i >= 0);
          expect(inside).toEqual(Array.from({ length: forest.ends[node] - node }, (_, i) => node + i));
        }
      }),
    );
  });
});

describe('forest batches on the device', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => device[Symbol.dispose]());

  const decoder = { vocabSize: 20, contextLength: 16, layers: 1, width: 8, heads: 2 };
  const fgram = { maxLength: K, layers: 1, width: 8, heads: 2, unit: 0.05, finalNorm: false };
  const tokens = Int32Array.from({ length: 32 }, (_, i) => (i * i) % 7);
  const targets = hostTensor(
    Int32Array.from({ length: 32 }, (_, i) => (i * i + 1) % 7),
    [2, 16],
  );
  const lengths = Uint8Array.from({ length: 32 }, (_, i) => 1 + (i % K));

  async function lossAndGradients(forest: ReturnType<typeof batchForest>, values: ReadonlyMap<string, Float32Array<ArrayBuffer>>) {
    using variables = device.variables({ ...decoderShapes(decoder), ...fgramShapes(fgram, decoder.vocabSize) });
    for (const variable of variables) variable.write(values.get(variable.name) ?? new Float32Array());
    const p = (name: string) => variables.get(name).tensor;
    const inputs = { ...batchInputs(forest, [2, 16], fgram), targets };
    using program = device.compile((x: { [key in keyof typeof inputs]: Tensor }) => {
      const loss = decoderLosses(embed(fgramRows(x, p, fgram), x, p), x.targets, p, decoder).mean();
      const gradients = grad(loss, variables.names.map(p));
      return { outputs: { loss, ...Object.fromEntries(variables.names.map((name, i) => [name, gradients[i]])) } as Record<string, Tensor> };
    });
    const results = program.run(inputs);
    return Object.fromEntries(
      await Promise.all(['loss', ...variables.names].map(async (name) => [name, await results[name].data()] as const)),
    );
  }

  it('give the loss and gradients of computing each f-gram alone', async () => {
    const values = new Map([
      ...initialValues(decoderShapes(decoder), { layers: 1, seed: 1, scale: 0.3 }),
      ...initialValues(fgramShapes(fgram, decoder.vocabSize), { layers: 1, seed: 2, scale: 0.3 }),
    ]);
    const shared = batchForest(tokens, lengths, 16, K, { bucket: 8 });
    // One chain of nodes per matched position: nothing is shared.
    const alone = {
      tokens: [] as number[],
      depths: [] as number[],
      ancestors: [] as number[],
      ends: [] as number[],
      nodeOf: new Int32Array(32).fill(-1),
    };
    for (let i = 0; i < 32; i++) {
      const length = Math.min(lengths[i], (i % 16) + 1);
      if (length < 2) continue;
      const first = alone.tokens.length;
      for (let depth = 0; depth < length; depth++) {
        alone.tokens.push(tokens[i - length + 1 + depth]);
        alone.depths.push(depth);
        alone.ancestors.push(...Array.from({ length: K }, (_, k) => (k <= depth ? first + depth - k : -1)));
        alone.ends.push(first + length);
      }
      alone.nodeOf[i] = first + length - 1;
    }
    const separate = {
      ...shared,
      ids: new Int32Array(alone.tokens.length).fill(-1),
      nodes: alone.tokens.length,
      tokens: Int32Array.from(alone.tokens),
      depths: Int32Array.from(alone.depths),
      ancestors: Int32Array.from(alone.ancestors),
      ends: Int32Array.from(alone.ends),
      nodeOf: alone.nodeOf,
    };
    expect(shared.nodes).toBeLessThan(separate.nodes);
    const [a, b] = [await lossAndGradients(shared, values), await lossAndGradients(separate, values)];
    for (const [name, expected] of Object.entries(b)) {
      expected.forEach((value, i) => {
        if (!(Math.abs(a[name][i] - value) <= 1e-5)) expect.fail(`${name}, element ${i}: ${a[name][i]} with sharing, ${value} without`);
      });
    }
  });

  it('start as the baseline: with identity values the loss is that of the tokens alone', async () => {
    const values = initialValues(decoderShapes(decoder), { layers: 1, seed: 1, scale: 0.1 });
    const tokenTable = values.get('tok.weight')!;
    for (const [name, data] of identityValues(fgram, { seed: 1, scale: 0.1, tokenTable })) values.set(name, data);
    const matched = await lossAndGradients(batchForest(tokens, lengths, 16, K, { bucket: 8 }), values);
    const plain = await lossAndGradients(batchForest(tokens, new Uint8Array(32).fill(1), 16, K, { bucket: 8 }), values);
    expect(Math.abs(matched.loss[0] - plain.loss[0])).toBeLessThan(1e-5);
  });
});
