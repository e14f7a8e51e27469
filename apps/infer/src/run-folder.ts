/** A trained run as inference needs it: model, tokenizer, f-grams and their store, checked to belong together. */
import { readFile } from 'node:fs/promises';
import { sha256, withArtifactErrors } from '@sconelm/artifact';
import { fingerprint } from '@sconelm/decoder';
import { type Model, openModel, readRunManifest, runPaths, type SessionFgrams } from '@sconelm/fgram-model';
import { openFgrams, Tokenizer } from '@sconelm/ngram-miner';
import { openStore, type RowStore } from '@sconelm/offload-store';
import type { Device } from '@sconelm/tensor-webgpu';
import { InferError } from './errors.js';

export interface Run extends AsyncDisposable {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Absent for a plain decoder. */
  readonly fgrams?: SessionFgrams & { readonly rows: RowStore };
}

/** @param store URL; rows in the run's folder where absent @throws the typed error of the part that is missing, damaged or of another run */
export async function openRun(device: Device, directory: string, store?: string): Promise<Run> {
  const paths = runPaths(directory);
  const manifest = await readRunManifest(directory);
  const json = await withArtifactErrors(paths.tokenizer, () => readFile(paths.tokenizer, 'utf8'));
  if (sha256(json) !== manifest.tokenizer) {
    throw new InferError('RUN_MIXED', `${paths.tokenizer} is not the tokenizer of this run`, 'Copy the run’s folder again.');
  }
  const tokenizer = Tokenizer.parse(json);
  const model = await openModel(device, directory);
  const dispose = () => model[Symbol.dispose]();
  if (manifest.fgrams === undefined) return { model, tokenizer, [Symbol.asyncDispose]: async () => dispose() };
  try {
    const set = await openFgrams(paths.fgrams);
    if (set.hash !== manifest.fgrams) {
      throw new InferError('RUN_MIXED', `${paths.fgrams} has other f-grams than this run`, 'Copy the run’s folder again.');
    }
    const rows = await openStore(store ?? `file:${paths.rows}`, {
      expect: { fgrams: set.hash, model: await fingerprint(model.variables) },
    });
    return {
      model,
      tokenizer,
      fgrams: { matcher: set.matcher(tokenizer.endOfText), rows },
      async [Symbol.asyncDispose]() {
        dispose();
        await rows.close();
      },
    };
  } catch (error) {
    dispose();
    throw error;
  }
}
