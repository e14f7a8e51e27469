/** A decoder's configuration from and to config.json, as the layout's table says. */
import { completeBlock, type DecoderConfig, decoderConfigSchema } from '../config.js';
import { DecoderError } from '../errors.js';
import type { Layout } from './layout.js';
import { gpt2 } from './layouts/gpt2.js';
import { llama } from './layouts/llama.js';
import { olmo, olmo2 } from './layouts/olmo.js';
import { qwen2, qwen3 } from './layouts/qwen.js';

export const layouts: readonly Layout[] = [gpt2, llama, qwen2, qwen3, olmo, olmo2];

export type Json = Readonly<Record<string, unknown>>;

export interface ConfigJson {
  readonly layout: Layout;
  readonly config: DecoderConfig;
}

const unsupported = (what: string, remedy = 'Use a model of this type without it.') => new DecoderError('MODEL_UNSUPPORTED', what, remedy);

/** @param where the file, for messages @throws {DecoderError} MODEL_CONFIG, MODEL_UNSUPPORTED: another type, or a form of one that the decoder has not */
export function readConfigJson(json: Json, where: string): ConfigJson {
  const layout = layouts.find(({ modelType }) => modelType === json.model_type);
  if (layout === undefined) {
    const known = layouts.map(({ modelType }) => modelType).join(', ');
    throw unsupported(`${where}: model_type is ${brief(json.model_type)}`, `Use a model of one of these types: ${known}.`);
  }
  const { key: activation, names } = layout.activation;
  for (const [key, allowed] of Object.entries({ [activation]: names, ...layout.expected })) {
    const values = Array.isArray(json[key]) ? json[key] : [json[key] ?? allowed[0]];
    const other = values.find((value) => !allowed.includes(value));
    if (other !== undefined) throw unsupported(`${where}: ${key} is ${brief(other)}, expected ${allowed.map(brief).join(' or ')}`);
  }
  const config: Record<string, unknown> = { ...layout.fixed };
  for (const [field, key] of Object.entries(layout.numbers)) {
    const value = json[key] ?? layout.absent[field as keyof DecoderConfig];
    if (value !== undefined) config[field] = value;
  }
  for (const { key, field, values, absent } of layout.switches) {
    const value = json[key] ?? absent;
    if (typeof value !== 'boolean') throw wrong(where, key, value, 'true or false');
    config[field] = values[`${value}`];
  }
  if (!('pos.weight' in layout.tensors)) config.rotary = rotaryOf(json, where);
  const { success, data, error } = decoderConfigSchema.safeParse(config);
  if (success) return { layout, config: data };
  const [{ path, message }] = error.issues;
  const [field] = path;
  const key = layout.numbers[field as keyof DecoderConfig] ?? (field === 'rotary' ? 'rope_theta or rope_scaling' : String(field));
  throw wrong(where, key, json[key], message);
}

const wrong = (where: string, key: string, value: unknown, expected: string) =>
  new DecoderError('MODEL_CONFIG', `${where}: ${key} is ${brief(value)}; ${expected}`, 'Copy the model again, or correct this field.');

function rotaryOf(json: Json, where: string): unknown {
  const parameters = objectAt(json, 'rope_parameters', where) ?? {};
  const base = parameters.rope_theta ?? json.rope_theta ?? 10_000;
  const scaling = objectAt(json, 'rope_scaling', where) ?? parameters;
  const kind = scaling.rope_type ?? scaling.type ?? 'default';
  const { factor } = scaling;
  if (kind === 'default') return { base };
  if (kind === 'linear') return { base, scaling: { kind, factor } };
  if (kind !== 'llama3') throw unsupported(`${where}: rope_type is ${brief(kind)}, expected default, linear or llama3`);
  const { low_freq_factor: lowFrequencyFactor, high_freq_factor: highFrequencyFactor } = scaling;
  const originalContext = scaling.original_max_position_embeddings;
  return { base, scaling: { kind, factor, lowFrequencyFactor, highFrequencyFactor, originalContext } };
}

function objectAt(json: Json, key: string, where: string): Json | undefined {
  const value = json[key] ?? undefined;
  if (value !== undefined && (typeof value !== 'object' || Array.isArray(value))) throw wrong(where, key, value, 'an object or null');
  return value as Json | undefined;
}

/** The layout that has this configuration, and its config.json. @throws {DecoderError} MODEL_UNSUPPORTED if none has */
export function writeConfigJson(config: DecoderConfig): { readonly layout: Layout; readonly json: Json } {
  for (const layout of layouts) {
    const json = jsonOf(config, layout);
    const back = decoderConfigSchema.safeParse(readConfigJson(json, 'config.json').config);
    if (back.success && meaningOf(back.data) === meaningOf(config)) return { layout, json };
  }
  throw unsupported(
    `no layout has a model like this: ${JSON.stringify(config)}`,
    'Export a model with the options of one of the families.',
  );
}

/** As text: the same for the same model, whichever defaults are spelt out. */
function meaningOf(config: DecoderConfig): string {
  const { vocabSize, contextLength, layers, rotary, tiedHead = true } = config;
  return JSON.stringify([
    vocabSize,
    contextLength,
    layers,
    rotary?.base,
    rotary?.scaling && sorted(rotary.scaling),
    tiedHead,
    completeBlock(config),
  ]);
}

const sorted = (value: object) => Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));

function jsonOf(config: DecoderConfig, layout: Layout): Json {
  const complete: DecoderConfig = { ...config, ...completeBlock(config), tiedHead: config.tiedHead ?? true };
  const json: Record<string, unknown> = { architectures: [layout.architecture], model_type: layout.modelType };
  for (const [field, key] of Object.entries(layout.numbers)) json[key] = complete[field as keyof DecoderConfig] ?? null;
  for (const { key, field, values } of layout.switches) json[key] = complete[field] === values.true;
  json[layout.activation.key] = layout.activation.names[0];
  if (config.rotary !== undefined) {
    const { base, scaling } = config.rotary;
    json.rope_theta = base;
    json.rope_scaling = scaling === undefined ? null : scalingJson(scaling);
  }
  return json;
}

function scalingJson(scaling: NonNullable<NonNullable<DecoderConfig['rotary']>['scaling']>): Json {
  if (scaling.kind === 'linear') return { rope_type: scaling.kind, factor: scaling.factor };
  return {
    rope_type: scaling.kind,
    factor: scaling.factor,
    low_freq_factor: scaling.lowFrequencyFactor,
    high_freq_factor: scaling.highFrequencyFactor,
    original_max_position_embeddings: scaling.originalContext,
  };
}

/** For messages. */
export function brief(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'string' ? `'${value.slice(0, 80)}'` : String(value);
}
