/**
 * A model as a static folder: model.json says what is in it. Written by `publish`, read by the page in the folder itself.
 *
 *     index.html, assets/  the page       decoder.safetensors, tokenizer.json, fgrams/, rows/ (a file store)  the model
 */
import { decoderConfigSchema, type WeightFormat } from '@sconelm/decoder';
import { z } from 'zod';

/** Those of inference, and f16, which are f32 on the device. */
export const publishedWeights = ['f32', 'f16', 'int8', 'int4'] as const;
export const formatOf = (weights: (typeof publishedWeights)[number]): WeightFormat => (weights === 'f16' ? 'f32' : weights);

const file = z.strictObject({ bytes: z.int().nonnegative(), sha256: z.string() });

export const publishedForm = {
  kind: 'scone-published',
  version: 1,
  schema: z.strictObject({
    name: z.string(),
    decoder: decoderConfigSchema,
    /** How decoder.safetensors stores the weights. */
    weights: z.enum(publishedWeights),
    /** A hash of every parameter of the model that was published: what its rows are bound to. */
    fingerprint: z.string(),
    /** Each of them ends a text. */
    stopTokens: z.array(z.int().nonnegative()),
    /** Absent for a plain decoder. */
    fgrams: z
      .strictObject({
        /** Of the set. */
        hash: z.string(),
        rows: z.int().nonnegative(),
        rowBytes: z.int().positive(),
      })
      .optional(),
    /** Every file but this one, by its path from the folder on. */
    files: z.record(z.string(), file),
  }),
};

export type PublishedManifest = z.infer<typeof publishedForm.schema>;

/** Where the parts of a published folder lie. */
export const PUBLISHED = {
  manifest: 'model.json',
  weights: 'decoder.safetensors',
  tokenizer: 'tokenizer.json',
  fgrams: 'fgrams',
  rows: 'rows',
} as const;
