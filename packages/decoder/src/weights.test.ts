/** Weights quantised as they are loaded: decoding is that of a model of the decoded values, and the fingerprint that of the model. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchSession,
  contextBlocks,
  type DecoderConfig,
  DecodeSession,
  decoderShapes,
  encodeSafetensors,
  exportModelFolder,
  Fingerprint,
  fingerprint,
  loadCheckpoint,
  loadModelFolder,
  loadSafetensors,
  modelCost,
  normal,
  presetOf,
  saveCheckpoint,
  seedFor,
  Weights,
  weightBytes,
} from './index.js';
import { styles } from './styles.test.support.js';

let device: Device;
let folder: string;
beforeAll(async () => {
  device = await openDevice();
  folder = await mkdtemp(path.join(tmpdir(), 'weights-'));
});
afterAll(async () => {
  device[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

const wide = { vocabSize: 44, width: 32, mlpWidth: 96, layers: 1 };
const configs: ['GPT-2' | 'Llama', 'int8' | 'int4', DecoderConfig][] = [
  ['GPT-2', 'int4', { ...styles['GPT-2'], ...wide }],
  ['Llama', 'int8', { ...styles.Llama, ...wide }],
];

function values(config: DecoderConfig): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(
    Object.entries(decoderShapes(config)).map(([name, { shape }]) => {
      const size = shape.reduce((product, extent) => product * extent, 1);
      const centre = shape.length === 1 && name.endsWith('weight') ? 1 : 0;
      return [name, Float32Array.from({ length: size }, (_, i) => centre + 0.3 * normal(seedFor(1, name), i))];
    }),
  );
}

describe.each(configs)('a model in the style of %s, in %s', (name, format, config) => {
  const shapes = decoderShapes(config);
  const tokens = Int32Array.from({ length: 11 }, (_, i) => (i * i + 3 * i) % config.vocabSize);

  test('decodes as with the values that its weights stand for, to the same bits in every company', async () => {
    using quantised = new Weights(device, shapes, format);
    using plain = new Weights(device, shapes);
    for (const [parameter, data] of values(config)) {
      quantised.get(parameter).write(data);
      plain.get(parameter).write((await quantised.get(parameter).read()) as Float32Array<ArrayBuffer>);
    }
    using session = new DecodeSession(device, config, quantised.parameters);
    using expected = new DecodeSession(device, config, plain.parameters);
    const logits = await session.append({ tokens });
    expect(logits).toEqual(await expected.append({ tokens }));
    using batch = new BatchSession(device, config, quantised.parameters, { blocks: 3 * contextBlocks(config) });
    const blocksOf = (k: number) => Array.from({ length: contextBlocks(config) }, (_, i) => 3 * i + k);
    for (let at = 0; at < tokens.length; at += 4) {
      const piece = tokens.slice(at, at + 4);
      const all = await batch.step([0, 1, 2].map((k) => ({ blocks: blocksOf(k), start: at, tokens: piece, wanted: 'all' as const })));
      for (const own of all) expect(own).toEqual(logits.slice(at * config.vocabSize, (at + piece.length) * config.vocabSize));
    }
  });

  test('is quantised as it is loaded, from a checkpoint and from a folder in Hugging Face’s form', async () => {
    using variables = device.variables(shapes);
    for (const [parameter, data] of values(config)) variables.get(parameter).write(data);
    const file = path.join(folder, `${name}.safetensors`);
    await saveCheckpoint(file, variables);
    await exportModelFolder(path.join(folder, name), config, variables);
    using loaded = new Weights(device, shapes, format);
    const hash = new Fingerprint();
    await loadCheckpoint(
      file,
      Array.from(loaded, (sink) => hash.through(sink)),
    );
    expect(hash.value).toBe(await fingerprint(variables));
    using fromFolder = new Weights(device, shapes, format);
    await loadModelFolder(device, path.join(folder, name), fromFolder);
    using written = new Weights(device, shapes, format);
    for (const [parameter, data] of values(config)) written.get(parameter).write(data);
    for (const { name: parameter } of written) {
      const data = await written.get(parameter).read();
      expect(await loaded.get(parameter).read(), parameter).toEqual(data);
      expect(await fromFolder.get(parameter).read(), parameter).toEqual(data);
    }
  });

  test('goes through a file as it lies in memory; a file of another format is refused', async () => {
    using written = new Weights(device, shapes, format);
    for (const [parameter, data] of values(config)) written.get(parameter).write(data);
    const file = path.join(folder, `${name}-${format}.safetensors`);
    await saveCheckpoint(file, written.stored);
    const bytes = await readFile(file);
    expect(bytes.length).toBeLessThan(1.1 * weightBytes(shapes, format) + 8192);
    using loaded = new Weights(device, shapes, format);
    loadSafetensors(bytes, loaded.stored, file);
    for (const variable of loaded.stored) {
      const same = [...written.stored].find((other) => other.name === variable.name);
      expect(await variable.read(), variable.name).toEqual(await same?.read());
    }
    using other = new Weights(device, shapes);
    expect(() => loadSafetensors(bytes, other.stored, file)).toThrow(`tensor 'tok.weight' is missing`);
    using words = device.variables({ 'pos.weight': { shape: [3, 2], dtype: 'u32' } });
    const floats = encodeSafetensors(new Map([['pos.weight', { shape: [3, 2], data: new Float32Array(6) }]]));
    expect(() => loadSafetensors(floats, words, 'x')).toThrow(`tensor 'pos.weight' is F32, expected U32`);
  });
});

test('costs say the bytes of the format', () => {
  const config = presetOf('gpt2-124M');
  const shapes = decoderShapes(config);
  expect(weightBytes(shapes, 'f32')).toBe(4 * modelCost({ decoder: config }).parameters);
  const share = (format: 'int8' | 'int4') => weightBytes(shapes, format) / weightBytes(shapes, 'f32');
  // 8 and 5 bits of 32, and positions, norms and biases in f32.
  expect(share('int8')).toBeCloseTo(0.256, 2);
  expect(share('int4')).toBeCloseTo(0.162, 2);
  const difference = modelCost({ decoder: config }).inferenceBytes - modelCost({ decoder: config, weights: 'int8' }).inferenceBytes;
  expect(difference).toBe(weightBytes(shapes, 'f32') - weightBytes(shapes, 'int8'));
});

test('a quantised matrix that is more than an adapter binds is refused as it is loaded; in the format it names the model runs', async () => {
  using narrow = await openDevice({ traits: { maxBindingBytes: 8192 } });
  const config: DecoderConfig = { ...styles['GPT-2'], ...wide, vocabSize: 260, width: 32, mlpWidth: 32 };
  const shapes = decoderShapes(config);
  expect(() => new Weights(narrow, shapes, 'int8')).toThrow(
    expect.objectContaining({
      code: 'MODEL_UNSUPPORTED',
      remedy: 'Use weights of f32 or int4.',
      message: expect.stringContaining('tok.weight takes 8320'),
    }),
  );
  const given = values(config);
  const logitsOn = async (on: Device, format: 'f32' | 'int4') => {
    using weights = new Weights(on, shapes, format);
    for (const sink of weights) sink.write(given.get(sink.name)!);
    using session = new BatchSession(on, config, weights.parameters, { blocks: contextBlocks(config) });
    return await session.step([{ tokens: Int32Array.of(1, 250, 7), rows: new Float32Array(3 * 32), blocks: [0], start: 0, wanted: 'all' }]);
  };
  for (const format of ['f32', 'int4'] as const) {
    const [[parted], [whole]] = [await logitsOn(narrow, format), await logitsOn(device, format)];
    expect(parted).toHaveLength(3 * config.vocabSize);
    // Matrices of f32 are read in parts there, which rounds otherwise.
    expect(Math.max(...parted.map((value, i) => Math.abs(value - whole[i])))).toBeLessThan(1e-4);
  }
});
