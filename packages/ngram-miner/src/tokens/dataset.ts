/** A prepared dataset: the tokenizer and the tokens of each split, every document opened by the end-of-text token. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { publishBytes, publishDirectory, readManifest, sha256, withArtifactErrors, writeManifest } from '@sconelm/artifact';
import { z } from 'zod';
import { MinerError } from '../errors.js';
import { Tokenizer } from '../tokenizer/tokenizer.js';
import type { TokenizerJson } from '../tokenizer/tokenizer-json.js';

export const SPLITS = ['train', 'heldout'] as const;
export type Split = (typeof SPLITS)[number];

export interface TokenSplit {
  readonly tokens: Uint16Array | Uint32Array;
  readonly documents: number;
  /** UTF-8 bytes of its text. */
  readonly bytes: number;
}

export interface Dataset extends Readonly<Record<Split, TokenSplit>> {
  readonly tokenizer: Tokenizer;
  readonly tokenizerHash: string;
}

const splitSchema = z.strictObject({ file: z.string(), tokens: z.int(), documents: z.int(), bytes: z.int(), sha256: z.string() });
const form = {
  kind: 'scone-dataset',
  version: 1,
  schema: z.strictObject({
    vocabSize: z.int(),
    dtype: z.enum(['u16', 'u32']),
    tokenizerHash: z.string(),
    train: splitSchema,
    heldout: splitSchema,
  }),
};

export interface PrepareOptions extends Readonly<Record<Split, readonly string[]>> {
  readonly tokenizer: TokenizerJson;
  readonly directory: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number, total: number) => void;
}

/** Encodes documents and publishes the dataset. Lets the event loop turn after each document. @throws {MinerError | ArtifactError} */
export async function prepareDataset({ tokenizer: json, directory, signal, onProgress, ...splits }: PrepareOptions): Promise<void> {
  const tokenizer = Tokenizer.parse(json);
  const text = JSON.stringify(json);
  const dtype = tokenizer.vocabSize <= 65_536 ? 'u16' : 'u32';
  const sizes = SPLITS.map((split) => splits[split].reduce((sum, document) => sum + Buffer.byteLength(document), 0));
  let done = 0;
  await publishDirectory(directory, async (aside) => {
    const described: Record<string, unknown> = {};
    for (const [i, split] of SPLITS.entries()) {
      const parts: Uint32Array[] = [];
      for (const document of splits[split]) {
        parts.push(new Uint32Array([tokenizer.endOfText]), tokenizer.encode(document));
        done += Buffer.byteLength(document);
        onProgress?.(done, sizes[0] + sizes[1]);
        await new Promise(setImmediate);
        signal?.throwIfAborted();
      }
      const count = parts.reduce((sum, part) => sum + part.length, 0);
      const tokens = dtype === 'u16' ? new Uint16Array(count) : new Uint32Array(count);
      let at = 0;
      for (const part of parts) {
        tokens.set(part, at);
        at += part.length;
      }
      const bytes = new Uint8Array(tokens.buffer);
      const file = `${split}-00000.bin`;
      await publishBytes(path.join(aside, file), bytes);
      described[split] = { file, tokens: count, documents: splits[split].length, bytes: sizes[i], sha256: sha256(bytes) };
    }
    await publishBytes(path.join(aside, 'tokenizer.json'), text);
    await writeManifest(path.join(aside, 'dataset.json'), {
      kind: form.kind,
      version: form.version,
      vocabSize: tokenizer.vocabSize,
      dtype,
      tokenizerHash: sha256(text),
      ...described,
    });
  });
}

/** @throws {MinerError | ArtifactError} missing, of another version, or corrupt */
export async function openDataset(directory: string): Promise<Dataset> {
  const manifest = await readManifest(path.join(directory, 'dataset.json'), form);
  const read = (file: string) => withArtifactErrors(path.join(directory, file), () => readFile(path.join(directory, file)));
  const expectHash = (file: string, bytes: Uint8Array, hash: string) => {
    if (sha256(bytes) !== hash)
      throw new MinerError('DATASET_CORRUPT', `${path.join(directory, file)}: its sha256 is not the manifest's`, 'Prepare the data again.');
  };
  const openSplit = async (split: Split): Promise<TokenSplit> => {
    const { file, documents, bytes: textBytes, sha256: hash } = manifest[split];
    const bytes = await read(file);
    expectHash(file, bytes, hash);
    const { buffer } = Uint8Array.from(bytes);
    return { tokens: manifest.dtype === 'u16' ? new Uint16Array(buffer) : new Uint32Array(buffer), documents, bytes: textBytes };
  };
  const json = await read('tokenizer.json');
  expectHash('tokenizer.json', json, manifest.tokenizerHash);
  return {
    tokenizer: Tokenizer.parse(json.toString('utf8')),
    tokenizerHash: manifest.tokenizerHash,
    train: await openSplit('train'),
    heldout: await openSplit('heldout'),
  };
}
