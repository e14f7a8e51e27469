/** A decoder as a folder in Hugging Face's form, which other tools read. Weights are read from the device and written tensor by tensor. */
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { publishDirectory, withArtifactErrors } from '@sconelm/artifact';
import type { DecoderConfig } from '../config.js';
import { encodeElements, encodeHeader, type StoredDType } from '../safetensors.js';
import type { ParameterSource } from '../weights.js';
import { writeConfigJson } from './config-json.js';
import { type Part, type PlannedParameter, planTensors, takePart } from './plan.js';

export interface ExportOptions {
  readonly dtype?: StoredDType;
  /** Weights beyond this go to further files, with an index. */
  readonly maxShardBytes?: number;
  readonly beginToken?: number;
  readonly endTokens?: readonly number[];
  /** The text of tokenizer.json. */
  readonly tokenizer?: string;
  /** Writes further files into the folder before it is published. */
  readonly writeMore?: (directory: string) => Promise<void>;
}

/** Where parameters come from: a set of variables is one. */
export interface ParameterSources {
  get(name: string): Pick<ParameterSource, 'read'>;
}

const TORCH_NAMES: Readonly<Record<StoredDType, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };
const ELEMENT_BYTES: Readonly<Record<StoredDType, number>> = { F32: 4, F16: 2, BF16: 2 };

type Tensor = { readonly parameter: PlannedParameter; readonly part: Part; readonly bytes: number };

/**
 * Publishes the folder. @param parameters of a decoder of `config`; others are left out
 * @throws {DecoderError} MODEL_UNSUPPORTED: no layout has such a model @throws {ArtifactError}
 */
export async function exportModelFolder(
  directory: string,
  config: DecoderConfig,
  parameters: ParameterSources,
  { dtype = 'F32', maxShardBytes = 5e9, beginToken, endTokens = [], tokenizer, writeMore }: ExportOptions = {},
): Promise<void> {
  const { layout, json } = writeConfigJson(config);
  const tensors = planTensors(config, layout).flatMap((parameter) =>
    parameter.parts.map((part) => ({ parameter, part, bytes: parameter.rows * part.columns * ELEMENT_BYTES[dtype] })),
  );
  const shards = inShards(tensors, maxShardBytes);
  const tokens = {
    bos_token_id: beginToken ?? null,
    eos_token_id: endTokens.length === 1 ? endTokens[0] : endTokens.length === 0 ? null : endTokens,
  };
  await publishDirectory(directory, (aside) =>
    withArtifactErrors(directory, async () => {
      const write = (name: string, content: unknown) => writeFile(path.join(aside, name), `${JSON.stringify(content, null, 2)}\n`);
      await write('config.json', { ...json, ...tokens, torch_dtype: TORCH_NAMES[dtype] });
      if (beginToken !== undefined || endTokens.length > 0) await write('generation_config.json', tokens);
      if (tokenizer !== undefined) await writeFile(path.join(aside, 'tokenizer.json'), tokenizer);
      for (const { name, tensors } of shards) {
        await using file = await open(path.join(aside, name), 'w');
        await writeShard(file, tensors, parameters, dtype);
      }
      if (shards.length > 1) await write('model.safetensors.index.json', indexOf(shards));
      await writeMore?.(aside);
    }),
  );
}

interface Shard {
  readonly name: string;
  readonly tensors: readonly Tensor[];
}

function inShards(tensors: readonly Tensor[], maxBytes: number): Shard[] {
  const groups: Tensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + tensor.bytes > maxBytes) {
      groups.push([]);
      bytes = 0;
    }
    groups[groups.length - 1].push(tensor);
    bytes += tensor.bytes;
  }
  if (groups.length === 1) return [{ name: 'model.safetensors', tensors: groups[0] }];
  const numbered = (i: number) => String(i).padStart(5, '0');
  return groups.map((group, i) => ({ name: `model-${numbered(i + 1)}-of-${numbered(groups.length)}.safetensors`, tensors: group }));
}

function indexOf(shards: readonly Shard[]): unknown {
  const all = shards.flatMap(({ name, tensors }) => tensors.map(({ part, bytes }) => ({ tensor: part.name, name, bytes })));
  return {
    metadata: { total_size: all.reduce((sum, { bytes }) => sum + bytes, 0) },
    weight_map: Object.fromEntries(all.map(({ tensor, name }) => [tensor, name])),
  };
}

async function writeShard(file: FileHandle, tensors: readonly Tensor[], parameters: ParameterSources, dtype: StoredDType): Promise<void> {
  // Other tools want to be told that tensors are laid out as PyTorch's.
  await file.writeFile(
    encodeHeader(
      tensors.map(({ part }) => ({ name: part.name, shape: part.shape, dtype })),
      { format: 'pt' },
    ),
  );
  let last: { readonly name: string; readonly data: Float32Array } | undefined;
  for (const { parameter, part } of tensors) {
    // Parts of one parameter follow one another: it is read once.
    if (last?.name !== parameter.name) last = { name: parameter.name, data: (await parameters.get(parameter.name).read()) as Float32Array };
    await file.writeFile(encodeElements(takePart(last.data, parameter, part), dtype));
  }
}
