/** `scone-infer publish`: a run becomes a folder that any static host can serve, with a page that runs the model in the tab. */
import { cp, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  MissingArtifactError,
  publishBytes,
  publishDirectory,
  readManifest,
  sha256File,
  withArtifactErrors,
  writeManifest,
} from '@sconelm/artifact';
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { saveCheckpoint } from '@sconelm/decoder';
import { runPaths } from '@sconelm/fgram-model';
import { copyStore, type RowDtype, rowBytesOf, rowDtypes } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { z } from 'zod';
import { InferError } from '../errors.js';
import { formatOf, PUBLISHED, type PublishedManifest, publishedForm, publishedWeights } from '../published-form.js';
import { openRun, type Run, runOptions } from '../run-folder.js';

/** The built page. */
const PAGE = fileURLToPath(new URL('../web/tab', import.meta.url));

/** Rows under one checksum, the least that a tab reads: what a request costs besides. */
const BLOCK_BYTES = 2 ** 12;
/** Hosts of static files take no large ones. */
const SHARD_BYTES = 20e6;
/** Of a store's data files. */
const MAX_SHARDS = 4096;

const { contextLength, store, backend } = runOptions;

export const publishCommand = defineCommand({
  name: 'publish',
  positionals: ['model', 'directory'],
  summary: 'a folder for any static host, with a page that runs the model in the browser’s tab',
  examples: [
    'npm run infer -- publish runs/quickstart/scone site',
    'scone-infer publish runs/scone site --weights int8 --rows int8 && npx http-server site',
  ],
  config: z.strictObject({
    model: z.string().describe('a trained run; or a pretrained model, a folder or a name on the hub'),
    directory: z.string().describe('what is written; a folder published before is replaced'),
    weights: z
      .enum(publishedWeights)
      .default('f32')
      .describe('how the decoder’s weights are stored; int8 and int4 are those of generate, f16 are rounded'),
    rows: z.enum(rowDtypes).optional().describe('how rows are stored (default: as they are)'),
    contextLength,
    store,
    backend,
  }),
  run: async ({ config, signal, progress, output }) => {
    const directory = path.resolve(config.directory);
    await expectReplaceable(directory);
    using device = await openDevice();
    const source = (await isRun(config.model)) ? { run: config.model, model: undefined } : { run: '', model: config.model };
    await using run = await openRun(device, {
      ...config,
      ...source,
      weights: formatOf(config.weights),
      check: undefined,
      damagedRows: 'error',
      missingRows: 'error',
      hotRows: 0,
      cacheRows: 0,
    });
    const { model, tokenizerJson, fgrams, name, fingerprint, stopTokens } = run;
    const { decoder } = model.config;
    let manifest: PublishedManifest | undefined;
    await publishDirectory(directory, async (aside) => {
      await withArtifactErrors(PAGE, () => cp(PAGE, aside, { recursive: true }));
      const dtype = config.weights === 'f16' ? 'F16' : 'F32';
      await saveCheckpoint(path.join(aside, PUBLISHED.weights), model.weights.stored, {}, { dtype });
      await publishBytes(path.join(aside, PUBLISHED.tokenizer), tokenizerJson);
      const published = fgrams === undefined ? undefined : await copyFgrams(run, aside);
      const files = await describeFiles(aside);
      manifest = {
        name,
        decoder,
        weights: config.weights,
        fingerprint,
        stopTokens: [...stopTokens],
        ...(published && { fgrams: published }),
        files,
      };
      const { kind, version } = publishedForm;
      await writeManifest(path.join(aside, PUBLISHED.manifest), { kind, version, ...manifest });
    });
    if (manifest === undefined) throw new Error('unreachable: a folder that was published has a manifest');
    const sizes = sizesOf(manifest);
    const table = Object.entries(sizes).map(([part, bytes]) => [part, `${(bytes / 1e6).toFixed(2)} MB`]);
    output({ directory, ...manifest, sizes }, `${formatTable(table)}${directory}: serve it over https, or on localhost\n`);

    /** The set as it is; the rows in blocks and files of other sizes. */
    async function copyFgrams({ directory: ofRun, fgrams: found }: Run, aside: string): Promise<PublishedManifest['fgrams']> {
      if (found === undefined) throw new Error('unreachable: it has f-grams');
      const { fgrams: set, rows } = runPaths(ofRun);
      await withArtifactErrors(set, () => cp(set, path.join(aside, PUBLISHED.fgrams), { recursive: true }));
      const dtype: RowDtype = config.rows ?? found.rows.manifest.dtype;
      const rowBytes = rowBytesOf(dtype, found.rows.width);
      await copyStore(config.store ?? `file:${rows}`, pathToFileURL(path.join(aside, PUBLISHED.rows)).href, {
        dtype,
        blockRows: Math.max(1, Math.floor(BLOCK_BYTES / rowBytes)),
        shardRows: Math.max(1, Math.floor(SHARD_BYTES / rowBytes), Math.ceil(found.rows.rows / MAX_SHARDS)),
        signal,
        onProgress: (done, all) => progress.update('copying rows', { done, total: all, unit: 'rows' }),
      });
      return { hash: found.set.hash, rows: found.rows.rows, rowBytes };
    }
  },
});

/** Whether this is the folder of a run; a name on the hub is no folder. */
async function isRun(model: string): Promise<boolean> {
  try {
    return JSON.parse(await readFile(runPaths(model).config, 'utf8')).kind === 'scone-run';
  } catch {
    return false;
  }
}

/** Nothing but what `publish` wrote is replaced. @throws {InferError} PUBLISH_TARGET @throws {ArtifactError} */
async function expectReplaceable(directory: string): Promise<void> {
  const found = await filesIn(directory);
  if (found.length === 0) return;
  const known = await readManifest(path.join(directory, PUBLISHED.manifest), publishedForm).catch((error: unknown) => {
    if (error instanceof MissingArtifactError) return undefined;
    throw error;
  });
  const alien = found.find((file) => file !== PUBLISHED.manifest && !Object.hasOwn(known?.files ?? {}, file));
  if (alien === undefined) return;
  throw new InferError(
    'PUBLISH_TARGET',
    `${directory} holds ${alien}, which publish did not write`,
    'Choose another folder, or move that file away.',
  );
}

/** Paths from the folder on, with slashes; none where there is no folder. @throws {InferError} PUBLISH_TARGET: it is a file @throws {ArtifactError} */
async function filesIn(directory: string): Promise<string[]> {
  try {
    return await withArtifactErrors(directory, async () => {
      if (!(await stat(directory)).isDirectory())
        throw new InferError('PUBLISH_TARGET', `${directory} is no folder`, 'Choose another name.');
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
        .sort();
    });
  } catch (error) {
    if (error instanceof MissingArtifactError) return [];
    throw error;
  }
}

async function describeFiles(directory: string): Promise<PublishedManifest['files']> {
  const files: PublishedManifest['files'] = {};
  for (const name of await filesIn(directory)) {
    const file = path.join(directory, name);
    files[name] = { bytes: (await stat(file)).size, sha256: await sha256File(file) };
  }
  return files;
}

/** Bytes of the parts. */
function sizesOf({ files }: PublishedManifest): Record<'page' | 'weights' | 'tokenizer' | 'fgrams' | 'rows', number> {
  const sizes = { page: 0, weights: 0, tokenizer: 0, fgrams: 0, rows: 0 };
  for (const [name, { bytes }] of Object.entries(files)) {
    const part = (['weights', 'tokenizer', 'fgrams', 'rows'] as const).find((key) => name.split('/')[0] === PUBLISHED[key]);
    sizes[part ?? 'page'] += bytes;
  }
  return sizes;
}
