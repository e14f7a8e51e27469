/** Models by their name on Hugging Face's hub, into the cache that its other tools use; needs the optional package `@huggingface/hub`. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { DecoderError } from '../errors.js';

const HUB_NAME = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
/** What is read of a model; other weights and formats of it stay where they are. */
const WANTED =
  /^((config|generation_config|tokenizer|tokenizer_config|model\.safetensors\.index)\.json|chat_template\.jinja|model(-\d{5}-of-\d{5})?\.safetensors)$/;
const COMMIT = /^[0-9a-f]{40}$/;

export interface HubOptions {
  /** A branch, a tag or a commit. */
  readonly revision?: string;
  /** Default: where HF_HOME or HF_HUB_CACHE say, else ~/.cache/huggingface/hub. */
  readonly cacheDirectory?: string;
  readonly hubUrl?: string;
  /** For models that are not open to all. */
  readonly accessToken?: string;
  readonly onProgress?: (file: string) => void;
}

/**
 * The folder of a model: the one that is named, else the snapshot of the hub's `org/name`, downloaded where it is not in the cache.
 * @throws {DecoderError} MODEL_HUB: there is no such folder, and the name is none of the hub's, or the hub did not give it
 */
export async function modelDirectory(name: string, options: HubOptions = {}): Promise<string> {
  if (await isDirectory(name)) return path.resolve(name);
  if (!HUB_NAME.test(name) || name.includes('..'))
    throw new DecoderError(
      'MODEL_HUB',
      `${name.slice(0, 200)} is no folder, and no name on the hub`,
      'Give a folder, or a name such as org/name.',
    );
  const hub = await loadHub();
  const { revision = 'main', cacheDirectory, hubUrl, accessToken, onProgress } = options;
  const from = { ...(hubUrl !== undefined && { hubUrl }), ...(accessToken !== undefined && { accessToken }) };
  const repo = { type: 'model', name } as const;
  try {
    const { sha } = COMMIT.test(revision) ? { sha: revision } : await hub.modelInfo({ name, revision, additionalFields: ['sha'], ...from });
    const files: string[] = [];
    for await (const { path: file } of hub.listFiles({ repo, revision: sha, ...from })) if (WANTED.test(file)) files.push(file);
    if (!files.includes('config.json')) throw new Error('it has no config.json');
    // Where weights are whole, shards of them are others of the same.
    const needed = files.includes('model.safetensors') ? files.filter((file) => !/^model[-.].*(-of-|index)/.test(file)) : files;
    let config = '';
    for (const file of needed) {
      onProgress?.(file);
      const cache = cacheDirectory === undefined ? {} : { cacheDir: cacheDirectory };
      const found = await quietly(() => hub.downloadFileToCacheDir({ repo, path: file, revision: sha, ...from, ...cache }));
      if (file === 'config.json') config = found;
    }
    return path.dirname(config);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DecoderError(
      'MODEL_HUB',
      `${name} (${revision}) cannot be had from ${hubUrl ?? 'the hub'}: ${reason}`,
      'Check the name and the network, or download the model and give its folder.',
      cause,
    );
  }
}

async function isDirectory(name: string): Promise<boolean> {
  try {
    return (await stat(name)).isDirectory();
  } catch {
    return false;
  }
}

async function loadHub(): Promise<typeof import('@huggingface/hub')> {
  try {
    return await import('@huggingface/hub');
  } catch (cause) {
    throw new DecoderError('MODEL_HUB', 'models of the hub need the package @huggingface/hub', 'Run: npm install @huggingface/hub', cause);
  }
}

/** The package tells its downloads on stdout, where results go. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { debug } = console;
  console.debug = () => {};
  try {
    return await work();
  } finally {
    console.debug = debug;
  }
}
