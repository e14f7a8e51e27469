/**
 * A folder in Hugging Face's form: config.json, model.safetensors or shards of it with an index, tokenizer.json. Everything is checked against
 * the files' headers before memory is taken; weights then go to the device tensor by tensor.
 */
import path from 'node:path';
import { MissingArtifactError } from '@sconelm/artifact';
import type { Device, Shape } from '@sconelm/tensor-webgpu';
import type { DecoderConfig } from '../config.js';
import { DecoderError } from '../errors.js';
import { isStoredDType, type TensorEntry } from '../safetensors.js';
import type { SafetensorsFile } from '../safetensors-file.js';
import type { ParameterSink } from '../weights.js';
import { brief, type ConfigJson, type Json, readConfigJson } from './config-json.js';
import { openWeights, readJson, readText } from './files.js';
import { type PlannedParameter, placePart, planTensors } from './plan.js';

const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_INDEX_BYTES = 16 * 2 ** 20;
const MAX_TOKENIZER_BYTES = 64 * 2 ** 20;
const MAX_SHARDS = 1000;
const INDEX = 'model.safetensors.index.json';

export interface ModelFolder {
  readonly directory: string;
  /** `model_type` of config.json. */
  readonly modelType: string;
  readonly config: DecoderConfig;
  /** What opens a text; absent where the model has none. */
  readonly beginToken?: number;
  /** Any of them ends a text. */
  readonly endTokens: readonly number[];
  /** The text of tokenizer.json; absent where there is none. */
  readonly tokenizer?: string;
}

/**
 * Reads config.json and the headers of the weights' files.
 * @throws {DecoderError} MODEL_CONFIG, MODEL_UNSUPPORTED, MODEL_PATH, CHECKPOINT_CORRUPT; CHECKPOINT_MISMATCH: a tensor is missing, not expected, or of
 *   another shape @throws {ArtifactError}
 */
export async function openModelFolder(directory: string): Promise<ModelFolder> {
  const { layout, config, json } = await configIn(directory);
  await using weights = await Weights.open(directory);
  weights.expect(planTensors(config, layout), { layout, config });
  const generation = await readJson(directory, 'generation_config.json', MAX_CONFIG_BYTES);
  const tokenizer = await readText(directory, 'tokenizer.json', MAX_TOKENIZER_BYTES);
  const [beginToken] = tokensAt('bos_token_id', [json, generation], config, directory);
  return {
    directory,
    modelType: layout.modelType,
    config,
    endTokens: tokensAt('eos_token_id', [generation, json], config, directory),
    ...(beginToken !== undefined && { beginToken }),
    ...(tokenizer !== undefined && { tokenizer }),
  };
}

/**
 * Writes a folder's weights into the parameters of a decoder of its configuration, in the order of `decoderShapes`; others in a set are left
 * alone. The host holds one parameter at a time.
 * @throws as `openModelFolder`
 */
export async function loadModelFolder(device: Device, directory: string, variables: ParameterSinks): Promise<void> {
  const { layout, config } = await configIn(directory);
  const plan = planTensors(config, layout);
  await using weights = await Weights.open(directory);
  weights.expect(plan, { layout, config });
  for (const parameter of plan) {
    variables.get(parameter.name).write(await weights.read(parameter));
    // What was written waits in the device's staging memory until then.
    await device.finish();
  }
}

/** A decoder's parameters by name: a set of variables, or weights of another form. */
export interface ParameterSinks {
  get(name: string): Pick<ParameterSink, 'write'>;
}

async function configIn(directory: string): Promise<ConfigJson & { readonly json: Json }> {
  const json = await readJson(directory, 'config.json', MAX_CONFIG_BYTES);
  if (json === undefined) throw new MissingArtifactError(path.join(directory, 'config.json'));
  return { ...readConfigJson(json, path.join(directory, 'config.json')), json };
}

/** Ids under a key of the first file that has it. */
function tokensAt(key: string, files: readonly (Json | undefined)[], { vocabSize }: DecoderConfig, directory: string): number[] {
  const value = files.map((json) => json?.[key] ?? undefined).find((found) => found !== undefined) ?? [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  const isToken = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize;
  if (ids.length <= 100 && ids.every(isToken)) return ids;
  throw new DecoderError(
    'MODEL_CONFIG',
    `${directory}: ${key} is ${Array.isArray(value) ? `[${ids.slice(0, 5).map(brief)}]` : brief(value)}, expected tokens below ${vocabSize}`,
    'Copy the model again, or correct this field.',
  );
}

const formatShape = (shape: Shape) => `[${shape.join(', ')}]`;

/** All tensors of a folder, in one file or in several. */
class Weights implements AsyncDisposable {
  readonly #directory: string;
  readonly #files: readonly SafetensorsFile[];
  readonly #tensors = new Map<string, { readonly file: SafetensorsFile; readonly entry: TensorEntry }>();

  private constructor(directory: string, files: readonly SafetensorsFile[]) {
    this.#directory = directory;
    this.#files = files;
  }

  static async open(directory: string): Promise<Weights> {
    const { names, shardOf } = await shardsIn(directory);
    const files: SafetensorsFile[] = [];
    const weights = new Weights(directory, files);
    try {
      for (const name of names) {
        const file = await openWeights(directory, name);
        files.push(file);
        for (const entry of file.entries.values()) {
          if (shardOf !== undefined && shardOf.get(entry.name) !== name)
            throw weights.#mismatch(`${name} has a tensor '${brief(entry.name)}', which ${INDEX} does not say`);
          weights.#tensors.set(entry.name, { file, entry });
        }
      }
      for (const [tensor, name] of shardOf ?? [])
        if (!weights.#tensors.has(tensor)) throw weights.#mismatch(`tensor ${brief(tensor)} is not in ${name}, as ${INDEX} says`);
      return weights;
    } catch (error) {
      await weights[Symbol.asyncDispose]();
      throw error;
    }
  }

  #mismatch(what: string): DecoderError {
    return new DecoderError('CHECKPOINT_MISMATCH', `${this.#directory}: ${what}`, 'Use config.json and weights of the same model.');
  }

  /** @throws {DecoderError} CHECKPOINT_MISMATCH unless exactly the planned tensors are there */
  expect(plan: readonly PlannedParameter[], { layout, config }: ConfigJson): void {
    const { prefix, ignored } = layout;
    const planned = new Map<string, Shape>(plan.flatMap(({ parts }) => parts.map(({ name, shape }) => [name, shape] as const)));
    // The bare model's files lack the prefix.
    if ([...this.#tensors.keys()].every((name) => !name.startsWith(prefix))) {
      for (const [name, found] of [...this.#tensors]) if (planned.has(prefix + name)) this.#rename(name, prefix + name, found);
    }
    for (const [name, shape] of planned) {
      const found = this.#tensors.get(name)?.entry;
      if (found === undefined) throw this.#mismatch(`tensor '${name}' is missing, expected ${formatShape(shape)}`);
      if (formatShape(found.shape) !== formatShape(shape))
        throw this.#mismatch(`tensor '${name}' is ${formatShape(found.shape)}, expected ${formatShape(shape)}`);
      if (!isStoredDType(found.dtype)) throw this.#mismatch(`tensor '${name}' is ${found.dtype}, expected F32, F16 or BF16`);
    }
    // A tied head is sometimes stored all the same; config.json says that it is the token table.
    const copies = config.tiedHead === false ? [] : layout.tensors['head.weight'];
    for (const name of this.#tensors.keys()) {
      if (!planned.has(name) && !ignored.test(name) && !copies.includes(name))
        throw this.#mismatch(`tensor ${brief(name)} is not expected in a model of type ${layout.modelType}`);
    }
  }

  #rename(from: string, to: string, found: { readonly file: SafetensorsFile; readonly entry: TensorEntry }): void {
    this.#tensors.delete(from);
    this.#tensors.set(to, found);
  }

  /** A parameter, put together. */
  async read(parameter: PlannedParameter): Promise<Float32Array<ArrayBuffer>> {
    const { rows, columns, parts, transposed } = parameter;
    const read = async (name: string) => {
      const found = this.#tensors.get(name);
      if (found === undefined) throw new Error('unreachable: it was expected');
      return found.file.read(found.entry);
    };
    if (parts.length === 1 && !transposed) return read(parts[0].name);
    const into = new Float32Array(rows * columns);
    for (const part of parts) placePart(await read(part.name), into, parameter, part);
    return into;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = await Promise.allSettled(this.#files.map((file) => file[Symbol.asyncDispose]()));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }
}

/** The files that hold the weights; of shards also which tensor is in which. */
async function shardsIn(directory: string): Promise<{ readonly names: readonly string[]; readonly shardOf?: ReadonlyMap<string, string> }> {
  const index = await readJson(directory, INDEX, MAX_INDEX_BYTES);
  if (index === undefined) return { names: ['model.safetensors'] };
  const { weight_map: map } = index;
  const wrong = (what: string) => new DecoderError('MODEL_CONFIG', `${path.join(directory, INDEX)}: ${what}`, 'Download this model again.');
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw wrong(`weight_map is ${brief(map)}, expected an object`);
  const shardOf = new Map<string, string>();
  for (const [tensor, name] of Object.entries(map)) {
    if (typeof name !== 'string') throw wrong(`the file of ${brief(tensor)} is ${brief(name)}, expected a name`);
    shardOf.set(tensor, name);
  }
  const names = [...new Set(shardOf.values())].sort();
  if (names.length === 0 || names.length > MAX_SHARDS) throw wrong(`it names ${names.length} files, expected 1 to ${MAX_SHARDS}`);
  return { names, shardOf };
}
