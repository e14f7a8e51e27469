/**
 * TensorBoard's event file of a run: records of a length, a checksum of it, a protocol buffer and a checksum of that. It is made anew from the
 * metrics when a run goes on, so it never says more than they do.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { publishBytes, withArtifactErrors } from '@sconelm/artifact';
import type { Metrics } from './metrics.js';

const CASTAGNOLI = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ CASTAGNOLI : value >>> 1;
  return value;
});

/** CRC-32C, another polynomial than zlib's. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A checksum of data that holds checksums is rotated and shifted, as TFRecord asks. */
function masked(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  const result = Buffer.alloc(4);
  result.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  return result;
}

function record(data: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, masked(length), data, masked(data)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

// Wire types of protocol buffers: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
const key = (field: number, wire: number) => Buffer.from([(field << 3) | wire]);
const bytesField = (field: number, data: Uint8Array) => Buffer.concat([key(field, 2), varint(data.length), data]);

function doubleField(field: number, value: number): Buffer {
  const data = Buffer.alloc(8);
  data.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), data]);
}

function floatField(field: number, value: number): Buffer {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([key(field, 5), data]);
}

/** message Event { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5 } */
function event(wallTime: number, step: number, scalars: Readonly<Record<string, number>>): Buffer {
  // message Summary { repeated Value value = 1 }; message Value { string tag = 1; float simple_value = 2 }
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), floatField(2, value)])),
  );
  return record(Buffer.concat([doubleField(1, wallTime), key(2, 0), varint(step), bytesField(5, Buffer.concat(values))]));
}

const version = (wallTime: number) => record(Buffer.concat([doubleField(1, wallTime), bytesField(3, Buffer.from('brain.Event:2'))]));

/** @param started seconds since 1970 at which training would have begun without interruptions */
function eventOf({ step, loss, rate, gradientNorm, seconds, heldoutLoss, gain }: Metrics, started: number): Buffer {
  return event(started + seconds, step, {
    loss,
    rate,
    ...(gradientNorm === undefined ? {} : { gradient_norm: gradientNorm }),
    ...(heldoutLoss === undefined ? {} : { heldout_loss: heldoutLoss }),
    ...(gain === undefined ? {} : { gain }),
  });
}

export class EventLog {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #started: number;

  private constructor(file: string, handle: FileHandle, started: number) {
    this.#file = file;
    this.#handle = handle;
    this.#started = started;
  }

  /** @param entries the metrics so far @param seconds of training so far */
  static async open(file: string, entries: readonly Metrics[], seconds: number): Promise<EventLog> {
    const started = Date.now() / 1000 - seconds;
    await publishBytes(file, Buffer.concat([version(started), ...entries.map((entry) => eventOf(entry, started))]));
    return new EventLog(file, await withArtifactErrors(file, () => open(file, 'a')), started);
  }

  async append(entry: Metrics): Promise<void> {
    await withArtifactErrors(this.#file, () => this.#handle.appendFile(eventOf(entry, this.#started)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await withArtifactErrors(this.#file, () => this.#handle.close());
  }
}
