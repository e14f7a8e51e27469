/** The sizes of a decoder. */
import { z } from 'zod';
import { DecoderError } from './errors.js';

const positive = z.int().positive();

export const decoderConfigSchema = z
  .strictObject({ vocabSize: positive, contextLength: positive, layers: positive, width: positive, heads: positive })
  .refine(({ width, heads }) => width % heads === 0, { message: 'width must be a multiple of heads', path: ['heads'] });

/** `width` is d_model; the feed-forward part is four times as wide; the head is tied to the token table. */
export type DecoderConfig = z.infer<typeof decoderConfigSchema>;

/** @throws {DecoderError} MODEL_CONFIG, naming the field */
export function parseDecoderConfig(value: unknown): DecoderConfig {
  const result = decoderConfigSchema.safeParse(value);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw new DecoderError('MODEL_CONFIG', `decoder configuration, ${path.join('.') || 'whole'}: ${message}`, 'Correct this field.');
}
