/** What a layout of Hugging Face's is: a model type, how config.json spells a configuration, and which tensors make up each parameter. All data. */
import type { DecoderConfig } from '../config.js';

export interface Layout {
  /** `model_type` in config.json. */
  readonly modelType: string;
  readonly architecture: string;
  /** What every model of this type is. */
  readonly fixed: Partial<DecoderConfig>;
  /** The key of a number. */
  readonly numbers: Readonly<Partial<Record<keyof DecoderConfig, string>>>;
  /** Numbers that config.json may leave out; others of `numbers` it may leave out where the decoder has a default. */
  readonly absent: Partial<DecoderConfig>;
  /** Booleans: what true and false mean, and which one holds where config.json leaves it out. */
  readonly switches: readonly Switch[];
  /** The key of the activation, and what it may be called. */
  readonly activation: { readonly key: string; readonly names: readonly [string, ...string[]] };
  /** Keys of which other values are another mathematics than the decoder's. A list is compared element by element. */
  readonly expected: Readonly<Record<string, readonly unknown[]>>;
  /** In front of all tensors but the head's; files of the bare model lack it. */
  readonly prefix: string;
  /** By parameter, `{}` for the layer: its tensors, side by side in the parameter's columns. Those a configuration lacks are not looked for. */
  readonly tensors: Readonly<Record<string, readonly string[]>>;
  /** Whether matrices (not tables and head) are stored [out, in]. */
  readonly transposed: boolean;
  /** Tensors that are no parameters. */
  readonly ignored: RegExp;
}

export interface Switch {
  readonly key: string;
  readonly field: keyof DecoderConfig;
  readonly values: { readonly true: unknown; readonly false: unknown };
  readonly absent: boolean;
}
