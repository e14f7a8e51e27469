/** Every family of models: decoding equals the forward pass in every cut, gradients equal central differences. */
import { type Device, grad, hostTensor, interpret, openDevice, placeholder, type Tensor, type VariableSet } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchSession,
  type DecoderConfig,
  DecodeSession,
  decoderHidden,
  decoderLogits,
  decoderLosses,
  decoderShapes,
  normal,
  parseDecoderConfig,
  seedFor,
  withContext,
} from './index.js';
import { styles } from './styles.test.support.js';

/** Values that leave no parameter without effect: norms near one, biases not zero. */
function valuesOf(config: DecoderConfig, seed: number): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    Object.entries(decoderShapes(config)).map(([name, { shape }]) => {
      const own = seedFor(seed, name);
      const size = shape.reduce((product, extent) => product * extent, 1);
      const centre = shape.length === 1 && name.endsWith('weight') ? 1 : 0;
      return [name, Float32Array.from({ length: size }, (_, i) => centre + 0.3 * normal(own, i))];
    }),
  );
}

function write(variables: VariableSet, values: ReadonlyMap<string, Float32Array<ArrayBuffer>>): void {
  for (const variable of variables) variable.write(values.get(variable.name)!);
}

describe.each(Object.entries(styles))('the decoder in the style of %s', (_, config) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice();
  });
  afterAll(() => device[Symbol.dispose]());

  test('decodes to the same bits in every cut into chunks: those of the forward pass, but for rounding', async () => {
    using variables = device.variables(decoderShapes(config));
    write(variables, valuesOf(config, 1));
    const p = (name: string) => variables.get(name).tensor;
    const tokens = Int32Array.from({ length: 24 }, (_, i) => (i * i + 3 * i) % config.vocabSize);
    using program = device.compile(({ ids }: { ids: Tensor }) => ({
      outputs: { logits: decoderLogits(decoderHidden(p('tok.weight').gatherRows(ids), p, config), p, config) },
    }));
    const forward = await program.run({ ids: hostTensor(tokens, [1, 24]) }).logits.data();
    using session = new DecodeSession(device, config, p);
    const whole = await session.append({ tokens });
    let most = 0;
    for (const [i, value] of whole.entries()) most = Math.max(most, Math.abs(value - forward[i]));
    expect(most).toBeLessThan(2e-5);
    for (const sizes of [Array<number>(24).fill(1), [5, 7, 12], [1, 23], [16, 8]]) {
      session.reset();
      const pieces: number[] = [];
      let at = 0;
      for (const size of sizes) {
        pieces.push(...(await session.append({ tokens: tokens.slice(at, at + size) })));
        at += size;
      }
      expect(Buffer.compare(Buffer.from(Float32Array.from(pieces).buffer), Buffer.from(whole.buffer)), sizes.join()).toBe(0);
    }
  });

  test('gives a sequence the same bits in every company', async () => {
    using variables = device.variables(decoderShapes(config));
    write(variables, valuesOf(config, 1));
    const p = (name: string) => variables.get(name).tensor;
    const lengths = [9, 24, 1, 14];
    const texts = lengths.map((length, k) => Int32Array.from({ length }, (_, i) => (i * i + 3 * i + 5 * k) % config.vocabSize));
    using alone = new DecodeSession(device, config, p);
    // Blocks out of order; one is nobody's.
    using batch = new BatchSession(device, config, p, { blocks: 9 });
    const blocks = [
      [4, 2],
      [0, 8],
      [7, 1],
      [3, 6],
    ];
    const together: number[][] = texts.map(() => []);
    const done = texts.map(() => 0);
    // Every step takes other pieces of whoever is not yet at its end; the last sequence wants its last positions only.
    for (let step = 0; texts.some(({ length }, k) => done[k] < length); step++) {
      const going = texts.flatMap(({ length }, k) => (done[k] < length && (step + k) % 3 !== 0 ? [k] : []));
      const inputs = going.map((k) => {
        const tokens = texts[k].slice(done[k], done[k] + 1 + ((step * 5 + k) % 7));
        const start = done[k];
        done[k] += tokens.length;
        return {
          blocks: blocks[k],
          start,
          tokens,
          wanted: k < 3 ? ('all' as const) : done[k] === texts[k].length ? ('last' as const) : ('none' as const),
        };
      });
      const logits = await batch.step(inputs);
      going.forEach((k, i) => {
        together[k].push(...logits[i]);
      });
    }
    for (const [k, tokens] of texts.entries()) {
      alone.reset();
      const whole = await alone.append({ tokens });
      const expected = k < 3 ? whole : whole.slice(-config.vocabSize);
      expect(Buffer.compare(Buffer.from(Float32Array.from(together[k]).buffer), Buffer.from(expected.buffer)), `sequence ${k}`).toBe(0);
    }
    // Another sequence that begins so goes on from the first block of this one.
    const [again] = await batch.step([{ blocks: [0, 5], start: 16, tokens: texts[1].slice(16), wanted: 'all' }]);
    expect([...again]).toEqual(together[1].slice(16 * config.vocabSize));
    const tooLong = { blocks: [0, 5], start: 1, tokens: new Int32Array(config.contextLength), wanted: 'last' } as const;
    await expect(batch.step([tooLong])).rejects.toThrow('do not fit');
  });

  test('has the gradients of central differences', async () => {
    const values = valuesOf(config, 2);
    const [B, T] = [2, 5];
    const ids = Int32Array.from({ length: B * T }, (_, i) => (i * 7 + 1) % config.vocabSize);
    const targets = Int32Array.from({ length: B * T }, (_, i) => (i * 5 + 2) % config.vocabSize);
    const names = [...values.keys()];
    const lossOf = (p: (name: string) => Tensor, x: { ids: Tensor; targets: Tensor }) =>
      decoderLosses(p('tok.weight').gatherRows(x.ids), x.targets, p, config).mean();

    using variables = device.variables(decoderShapes(config));
    write(variables, values);
    const p = (name: string) => variables.get(name).tensor;
    using program = device.compile((x: { ids: Tensor; targets: Tensor }) => ({
      outputs: Object.fromEntries(grad(lossOf(p, x), names.map(p)).map((g, i) => [names[i], g])),
    }));
    const found = program.run({ ids: hostTensor(ids, [B, T]), targets: hostTensor(targets, [B, T]) });

    const inputs = Object.fromEntries(names.map((name) => [name, placeholder(name, p(name).shape, 'f32')]));
    const batch = { ids: placeholder('ids', [B, T], 'i32'), targets: placeholder('targets', [B, T], 'i32') };
    const loss = lossOf((name) => inputs[name], batch);
    const lossAt = (moved: ReadonlyMap<string, ArrayLike<number>>) => {
      const given = new Map<Tensor, ArrayLike<number>>(names.map((name) => [inputs[name], moved.get(name) ?? values.get(name)!]));
      return interpret([loss], { precision: 'f64', values: given.set(batch.ids, ids).set(batch.targets, targets) })[0][0];
    };
    for (const name of names) {
      const gradient = await found[name].data();
      const value = values.get(name)!;
      const own = seedFor(3, name);
      const direction = Float64Array.from(value, (_, i) => normal(own, i));
      const step = 1e-5;
      const along = (sign: number) => lossAt(new Map([[name, Float64Array.from(value, (v, i) => v + sign * step * direction[i])]]));
      const difference = (along(1) - along(-1)) / (2 * step);
      const product = direction.reduce((sum, d, i) => sum + d * gradient[i], 0);
      expect(Math.abs(product - difference), `${name}: ${product}, central differences ${difference}`).toBeLessThan(
        2e-4 * Math.max(1, Math.abs(difference)),
      );
    }
  });
});

describe('a configuration', () => {
  const sizes = { vocabSize: 37, contextLength: 24, layers: 2, width: 16, heads: 4 };
  test.each([
    ['layers', { layers: 1e6 }],
    ['width', { width: 2 ** 20 }],
    ['heads', { heads: 2 ** 20 }],
    ['vocabSize', { vocabSize: 2 ** 30 }],
    ['contextLength', { contextLength: 2 ** 40 }],
    ['keyValueHeads', { keyValueHeads: 3 }],
    ['heads', { heads: 3 }],
    ['rotary', { headDim: 5, rotary: { base: 10_000 } }],
    ['rotary.base', { rotary: { base: -1 } }],
    ['rotary.scaling', { rotary: { base: 1e4, scaling: { kind: 'yarn', factor: 2 } } }],
    ['norm', { norm: 'batch' }],
    ['whole', { dropout: 0.1 }],
  ])('is refused where %s is wrong', (field, wrong) => {
    expect(() => parseDecoderConfig({ ...sizes, ...wrong })).toThrow(
      expect.objectContaining({ code: 'MODEL_CONFIG', message: expect.stringContaining(`decoder configuration, ${field}`) }),
    );
  });
  test('may have a shorter context where positions are rotary', () => {
    const long = { ...styles.Llama!, contextLength: 100_000 };
    expect(withContext(long).contextLength).toBe(2048);
    expect(withContext(long, 4096).contextLength).toBe(4096);
    expect(withContext(styles.Llama!)).toEqual(styles.Llama);
    expect(withContext({ ...sizes, contextLength: 100_000 }).contextLength).toBe(100_000);
    expect(() => withContext(long, 100_001)).toThrow(expect.objectContaining({ code: 'MODEL_CONFIG' }));
    expect(() => withContext(sizes, 12)).toThrow(expect.objectContaining({ code: 'MODEL_CONFIG' }));
  });
});
