/** The bytes of a file, unpacked, chunk by chunk: what is held is bounded by what a small slice of the packed file can become. */
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import xxhash from 'xxhash-wasm';
import type { InputFile, OpenInput } from './input-file.js';
import { TextError } from './text-error.js';
import { ZstdFrames } from './zstd-frames.js';

const CHUNK = 2 ** 18;
/** Packed bytes that are unpacked at once: gzip makes at most 1,032 times as many of them, Zstandard 32,768 times. */
const SLICE = { gzip: 2 ** 14, zstd: 2 ** 11 };

async function* plain(input: OpenInput, from: number): AsyncGenerator<Uint8Array> {
  for (let position = from; ; ) {
    const chunk = await input.read(position, CHUNK);
    if (chunk.length > 0) yield chunk;
    position += chunk.length;
    if (chunk.length < CHUNK) return;
  }
}

function* slices(chunk: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < chunk.length; at += bytes) yield chunk.subarray(at, at + bytes);
}

/** All members of a gzip file. Slice by slice, so that what comes before a damage does not depend on timing: all slices before its own. */
async function* gunzip(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: CHUNK });
  let ready: Uint8Array[] = [];
  let given = 0;
  let isPadded = false;
  stream.on('data', (data: Uint8Array) => ready.push(data));
  const failed = new Promise<never>((_, reject) => stream.once('error', reject));
  failed.catch(() => {}); // it is raced below
  // It ends at the first zero after a member, since zeros are padding, and then calls back no more.
  const ended = new Promise<void>((resolve) => stream.once('end', resolve));
  const taken = () => {
    const found = ready;
    ready = [];
    return found;
  };
  try {
    for await (const chunk of packed) {
      for (const slice of slices(chunk, SLICE.gzip)) {
        given += slice.length;
        if (!isPadded) await Promise.race([failed, ended, new Promise<void>((resolve) => stream.write(slice, () => resolve()))]);
        yield* taken();
        isPadded ||= stream.bytesWritten < given;
        if (isPadded && slice.subarray(Math.max(0, slice.length - (given - stream.bytesWritten))).some((byte) => byte !== 0))
          throw new Error('what follows the last member is no gzip');
      }
    }
    stream.end();
    await Promise.race([failed, ended]);
    yield* taken();
  } catch (error) {
    yield* taken();
    throw error;
  } finally {
    stream.destroy();
  }
}

/** All frames of a Zstandard file, each with a decompressor of its own. */
async function* unzstd(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { create64 } = await xxhash();
  const frames = new ZstdFrames();
  let ready: Uint8Array[] = [];
  const taken = () => {
    const found = ready;
    ready = [];
    return found;
  };
  const begin = () => {
    const hash = create64();
    const decompress = new Decompress((data) => {
      hash.update(data);
      ready.push(data);
    });
    return { hash, decompress };
  };
  let frame = begin();
  try {
    for await (const chunk of packed) {
      for (const slice of slices(chunk, SLICE.zstd)) {
        for (const { bytes, end } of frames.push(slice)) {
          frame.decompress.push(bytes, end !== undefined);
          if (end === undefined) continue;
          if (end.checksum !== undefined && end.checksum !== Number(frame.hash.digest() & 0xffff_ffffn))
            throw new Error(`the frame from byte ${end.from} of the file on has another checksum`);
          frame = begin();
        }
        if (ready.length > 0) yield* taken();
      }
    }
    frames.end();
  } catch (error) {
    yield* taken();
    throw error;
  }
}

/**
 * @param from byte to begin at, of a file that is not packed
 * @throws {TextError} TEXT_FORMAT: a packed file is truncated or damaged; what lies before has been given, but for the slice of a damage
 */
export async function* readBytes(input: OpenInput, { file, packing }: InputFile, from = 0): AsyncGenerator<Uint8Array> {
  const packed = plain(input, from);
  if (packing === 'none') {
    yield* packed;
    return;
  }
  let offset = 0;
  try {
    for await (const chunk of packing === 'gzip' ? gunzip(packed) : unzstd(packed)) {
      yield chunk;
      offset += chunk.length;
    }
  } catch (cause) {
    if (cause instanceof TextError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TextError(
      'TEXT_FORMAT',
      { file, offset },
      `the ${packing} file is damaged or truncated: ${reason}`,
      'Copy the file again.',
      cause,
    );
  }
}
