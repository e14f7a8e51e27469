/** A safetensors file that is open: its header is in memory, tensors are read one by one. */
import { type FileHandle, open } from 'node:fs/promises';
import { withArtifactErrors } from '@sconelm/artifact';
import { DecoderError } from './errors.js';
import { decodeElements, headerLength, parseHeader, type SafetensorsHeader, type TensorEntry } from './safetensors.js';

/** One read takes at most 2 GiB. */
const MAX_READ = 2 ** 30;
const PIECE_BYTES = 4 * 2 ** 20;

export class SafetensorsFile implements AsyncDisposable {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #handle: FileHandle;
  readonly #where: string;
  readonly #bytes: number;
  readonly #bodyAt: number;

  private constructor(handle: FileHandle, where: string, bytes: number, bodyAt: number, { entries, metadata }: SafetensorsHeader) {
    this.#handle = handle;
    this.#where = where;
    this.#bytes = bytes;
    this.#bodyAt = bodyAt;
    this.entries = new Map(entries.map((entry) => [entry.name, entry]));
    this.metadata = metadata;
  }

  /** @param where its name in messages @throws {DecoderError} CHECKPOINT_CORRUPT @throws {ArtifactError} */
  static async open(path: string, where = path): Promise<SafetensorsFile> {
    return withArtifactErrors(where, async () => {
      const handle = await open(path);
      try {
        const { size } = await handle.stat();
        const length = headerLength(new Uint8Array(await readAt(handle, 0, Math.min(8, size), where)), size, where);
        const text = new Uint8Array(await readAt(handle, 8, length, where));
        return new SafetensorsFile(handle, where, size, 8 + length, parseHeader(text, size - 8 - length, where));
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  }

  /** @throws {DecoderError} CHECKPOINT_CORRUPT: another dtype, or the file was cut meanwhile @throws {ArtifactError} */
  async read(entry: TensorEntry): Promise<Float32Array<ArrayBuffer>> {
    return decodeElements(await this.#readAt(this.#bodyAt + entry.start, entry.end - entry.start), entry, this.#where);
  }

  /** The whole file, in its order. @throws as `read` */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for (let at = 0; at < this.#bytes; at += PIECE_BYTES)
      yield new Uint8Array(await this.#readAt(at, Math.min(PIECE_BYTES, this.#bytes - at)));
  }

  #readAt(position: number, length: number): Promise<ArrayBuffer> {
    return withArtifactErrors(this.#where, () => readAt(this.#handle, position, length, this.#where));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await withArtifactErrors(this.#where, () => this.#handle.close());
  }
}

async function readAt(handle: FileHandle, position: number, length: number, where: string): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(MAX_READ, length - at), position + at);
    if (bytesRead === 0)
      throw new DecoderError('CHECKPOINT_CORRUPT', `${where}: it ends at byte ${position + at}, inside a tensor`, 'Copy this file again.');
    at += bytesRead;
  }
  return bytes.buffer;
}
