/** Models in Hugging Face's form: logits equal those of independent implementations, export gives the same bytes, what does not fit is named. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, openDevice } from '@sconelm/tensor-webgpu';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  DecodeSession,
  decoderShapes,
  exportModelFolder,
  loadModelFolder,
  type NamedTensor,
  openModelFolder,
  parseSafetensors,
  Sampler,
  type StoredDType,
} from '../index.js';
import { type ConfigFile, references, type Tensors } from './reference.test.support.js';
import { samples, tensorsOf, writeSample } from './samples.test.support.js';

let device: Device;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device[Symbol.dispose]());

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'model-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Logits of every position, by the decoder. */
async function logitsOf(folder: string, tokens: readonly number[]): Promise<Float32Array> {
  const { config } = await openModelFolder(folder);
  using variables = device.variables(decoderShapes(config));
  await loadModelFolder(device, folder, variables);
  using session = new DecodeSession(device, config, (name) => variables.get(name).tensor);
  return await session.append({ tokens: Int32Array.from(tokens) });
}

function worst(found: Float32Array, expected: readonly number[][]): number {
  expect(found.length).toBe(expected.flat().length);
  return Math.max(...expected.flat().map((value, i) => Math.abs(value - found[i])));
}

const read = (file: string) => parseSafetensors(readFileSync(file), file);
const tokens = Array.from({ length: 27 }, (_, i) => (i * i + 5 * i + 3) % 41);

describe.each(Object.entries(samples))('a model of the family %s', (_, json) => {
  test('has the logits of an independent implementation, and goes out as it came in', async () => {
    const tensors = tensorsOf(json);
    const source = join(directory, 'source');
    writeSample(source, json, tensors);
    const expected = references[json.model_type]!(tensors, json, tokens);
    expect(worst(await logitsOf(source, tokens), expected)).toBeLessThan(1e-4);

    const folder = await openModelFolder(source);
    expect(folder).toMatchObject({ modelType: json.model_type, beginToken: json.bos_token_id, endTokens: [json.eos_token_id].flat() });
    using variables = device.variables(decoderShapes(folder.config));
    await loadModelFolder(device, source, variables);
    const target = join(directory, 'target');
    await exportModelFolder(target, folder.config, variables, { ...folder, tokenizer: '{"model":{}}' });
    const back = await openModelFolder(target);
    expect(back).toMatchObject({
      config: folder.config,
      modelType: folder.modelType,
      endTokens: folder.endTokens,
      tokenizer: '{"model":{}}',
    });
    expectSameTensors(read(join(target, 'model.safetensors')).tensors, tensors);
    const written = JSON.parse(readFileSync(join(target, 'config.json'), 'utf8'));
    for (const key of Object.keys(written)) if (key in json) expect(written[key], key).toEqual(json[key]);
  });
});

function expectSameTensors(found: ReadonlyMap<string, NamedTensor>, expected: ReadonlyMap<string, NamedTensor>): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { shape, data }] of expected) {
    expect(found.get(name)!.shape, name).toEqual(shape);
    expect(Buffer.compare(Buffer.from(found.get(name)!.data.buffer), Buffer.from(data.buffer)), name).toBe(0);
  }
}

describe('files', () => {
  const json = samples['Qwen 2']!;
  const values = tensorsOf(json);

  test.each(['F16', 'BF16'] as const)('in %s are read, also as shards, and written to the same bytes', async (dtype: StoredDType) => {
    writeSample(directory, json, values, { dtype, shards: 3 });
    const { config } = await openModelFolder(directory);
    using variables = device.variables(decoderShapes(config));
    await loadModelFolder(device, directory, variables);
    const [whole, cut] = [join(directory, 'whole'), join(directory, 'cut')];
    await exportModelFolder(whole, config, variables, { dtype });
    await exportModelFolder(cut, config, variables, { dtype, maxShardBytes: 4000 });
    const stored = new Map([1, 2, 3].flatMap((i) => [...read(join(directory, `model-0000${i}-of-00003.safetensors`)).tensors]));
    expectSameTensors(read(join(whole, 'model.safetensors')).tensors, stored);
    const index = JSON.parse(readFileSync(join(cut, 'model.safetensors.index.json'), 'utf8'));
    const files = [...new Set<string>(Object.values(index.weight_map))];
    expect(files.length).toBeGreaterThan(3);
    expect(index.metadata.total_size).toBe([...stored.values()].reduce((sum, { data }) => sum + 2 * data.length, 0));
    expectSameTensors(new Map(files.flatMap((file) => [...read(join(cut, file)).tensors])), stored);
    expect(Buffer.from((await logitsOf(cut, tokens)).buffer)).toEqual(Buffer.from((await logitsOf(whole, tokens)).buffer));
  });

  test('of the bare model, with a tied head stored all the same, and with what old tools left, are read', async () => {
    const gpt2 = samples['GPT-2']!;
    const tensors = tensorsOf(gpt2);
    const bare = new Map([...tensors].map(([name, tensor]) => [name.replace('transformer.', ''), tensor]));
    bare.set('h.0.attn.bias', { shape: [1, 1, 4, 4], data: new Float32Array(16) });
    bare.set('lm_head.weight', tensors.get('transformer.wte.weight')!);
    writeSample(directory, gpt2, bare);
    expect(worst(await logitsOf(directory, tokens), references.gpt2!(tensors, gpt2, tokens))).toBeLessThan(1e-4);
  });

  test.each<[string, (tensors: Map<string, NamedTensor>) => void, string]>([
    ['missing', (all) => all.delete('model.norm.weight'), "tensor 'model.norm.weight' is missing, expected [24]"],
    [
      'not expected',
      (all) => all.set('model.layers.2.mlp.up_proj.weight', { shape: [1], data: new Float32Array(1) }),
      "tensor 'model.layers.2.mlp.up_proj.weight' is not expected in a model of type qwen2",
    ],
    [
      'of another shape',
      (all) => all.set('model.layers.0.self_attn.k_proj.weight', { shape: [8, 12], data: new Float32Array(96) }),
      "tensor 'model.layers.0.self_attn.k_proj.weight' is [8, 12], expected [8, 24]",
    ],
  ])('a tensor that is %s is named', async (_, change, message) => {
    const changed = new Map(values);
    change(changed);
    for (const shards of [1, 2]) {
      writeSample(directory, json, changed, { shards });
      await expect(openModelFolder(directory)).rejects.toMatchObject({
        code: 'CHECKPOINT_MISMATCH',
        message: expect.stringContaining(message),
      });
    }
  });

  test.each<[Record<string, unknown>, string, string]>([
    [{ model_type: 'mamba' }, 'MODEL_UNSUPPORTED', "model_type is 'mamba'"],
    [{ model_type: undefined }, 'MODEL_UNSUPPORTED', 'model_type is undefined'],
    [{ hidden_act: 'gelu' }, 'MODEL_UNSUPPORTED', "hidden_act is 'gelu', expected 'silu'"],
    [{ use_sliding_window: true }, 'MODEL_UNSUPPORTED', 'use_sliding_window is true, expected false'],
    [{ layer_types: ['full_attention', 'sliding_attention'] }, 'MODEL_UNSUPPORTED', "layer_types is 'sliding_attention'"],
    [{ rope_scaling: { type: 'yarn', factor: 4 } }, 'MODEL_UNSUPPORTED', "rope_type is 'yarn', expected default, linear or llama3"],
    [{ rope_scaling: { type: 'linear' } }, 'MODEL_CONFIG', 'rope_theta or rope_scaling'],
    [{ hidden_size: '24' }, 'MODEL_CONFIG', "hidden_size is '24'"],
    [{ num_hidden_layers: 1e9 }, 'MODEL_CONFIG', 'num_hidden_layers is 1000000000'],
    [{ vocab_size: undefined }, 'MODEL_CONFIG', 'vocab_size is undefined'],
    [{ num_key_value_heads: 4 }, 'MODEL_CONFIG', 'num_key_value_heads is 4; heads must be a multiple'],
    [{ tie_word_embeddings: 'yes' }, 'MODEL_CONFIG', "tie_word_embeddings is 'yes'; true or false"],
    [{ eos_token_id: 41 }, 'MODEL_CONFIG', 'eos_token_id is 41, expected tokens below 41'],
  ])('config.json with %o is refused', async (change, code, message) => {
    writeSample(directory, { ...json, ...change }, values);
    await expect(openModelFolder(directory)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('that are not there are missing, by name', async () => {
    await expect(openModelFolder(join(directory, 'nowhere'))).rejects.toMatchObject({ code: 'ARTIFACT_MISSING' });
    writeFileSync(join(directory, 'config.json'), JSON.stringify(json));
    await expect(openModelFolder(directory)).rejects.toMatchObject({
      code: 'ARTIFACT_MISSING',
      message: expect.stringContaining('model.safetensors'),
    });
  });

  test('of a model that no layout has are not written', async () => {
    const config = { vocabSize: 8, contextLength: 8, layers: 1, width: 8, heads: 2, norm: 'rms' } as const;
    using variables = device.variables(decoderShapes(config));
    await expect(exportModelFolder(join(directory, 'x'), config, variables)).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
    expect(existsSync(join(directory, 'x'))).toBe(false);
  });
});

describe('a trained model', () => {
  const stories = fileURLToPath(new URL('../../../../../shared/models/stories260K', import.meta.url));

  test('gives the logits and the text of its reference', async (context) => {
    if (!existsSync(stories)) return context.skip('the model is not on this machine');
    const reference = JSON.parse(readFileSync(join(stories, 'reference.json'), 'utf8'));
    const json: ConfigFile = JSON.parse(readFileSync(join(stories, 'config.json'), 'utf8'));
    const logits = await logitsOf(stories, reference.prompt_ids);
    const last = logits.slice(-512);
    expect(worst(last, [reference.last_logits])).toBeLessThan(1e-3);
    const tensors: Tensors = read(join(stories, 'model.safetensors')).tensors;
    expect(worst(logits, references.llama!(tensors, json, reference.prompt_ids))).toBeLessThan(1e-3);

    // Greedy decoding chooses at each position what the next one holds.
    const text: number[] = reference.greedy_from_bos_ids;
    const along = await logitsOf(stories, text.slice(0, -1));
    const greedy = new Sampler({ temperature: 0 });
    const chosen = text.slice(1).map((_, i) => greedy.next(along.subarray(i * 512, (i + 1) * 512)));
    expect(chosen).toEqual(text.slice(1));
  });
});
