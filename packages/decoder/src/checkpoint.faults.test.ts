/** Checkpoints and the safetensors format under faults: writers, damage, hostile files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  flawOf,
  forDamage,
  forEveryCall,
  forEveryCallOfReader,
  forHostileJson,
  forPowerCuts,
  inFolder,
  randomFrom,
  runSeed,
  times,
  underCaps,
} from '../../../tools/faults/index.mjs';
import { encodeSafetensors, parseSafetensors, readCheckpoint, writeCheckpoint } from './index.js';

const tensorsOf = (generation: number) =>
  new Map([
    ['token.weight', { shape: [7, 24], data: Float32Array.from({ length: 168 }, (_, i) => i / 8 + generation) }],
    ['norm', { shape: [24], data: Float32Array.from({ length: 24 }, (_, i) => generation - i) }],
    ['gain', { shape: [], data: Float32Array.of(generation) }],
  ]);
const fileIn = (folder: string) => join(folder, 'model.safetensors');
const write = (folder: string, generation: number) => writeCheckpoint(fileIn(folder), tensorsOf(generation), { made: 'here' });
const read = async (folder: string) => [...(await readCheckpoint(fileIn(folder)))];

describe('a checkpoint', () => {
  const writer = { setUp: (folder: string) => write(folder, 1), write: (folder: string) => write(folder, 2), read };

  test('survives every call failing, also of its readers', async () => {
    expect((await forEveryCall(writer)).EIO).toBeGreaterThan(5);
    expect((await forEveryCallOfReader(writer.setUp, read)).EIO).toBeGreaterThan(0);
  });
  test('survives power cuts', async () => {
    const seen = await forPowerCuts(writer);
    expect(Math.min(seen.old, seen.new)).toBeGreaterThan(0);
  });
  test('no damage is overlooked: every bit of it, cuts, swapped and older blocks', () =>
    inFolder(async (folder) => {
      const older = join(folder, 'older');
      await writeCheckpoint(older, tensorsOf(3), { made: 'here' });
      await write(folder, 2);
      const seen = await forDamage(fileIn(folder), () => read(folder), {
        bits: 'every',
        blockBytes: 64,
        older: { file: older, blocks: times(50, 1000) },
      });
      expect(seen.right).toBe(0);
      expect(seen.refused).toBeGreaterThan(8000);
    }));
  test('a file without a checksum, or with another, is refused', () =>
    inFolder(async (folder) => {
      for (const metadata of [{}, { checksum: 'crc32:00000000' }, { made: 'here', checksum: 'crc32:00000000' }]) {
        writeFileSync(fileIn(folder), encodeSafetensors(tensorsOf(1), metadata));
        await expect(read(folder)).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT', message: expect.stringContaining('checksum') });
      }
    }));
});

/** A file with this header. */
function withHeader(header: string, bodyBytes: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + bodyBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

describe('safetensors', () => {
  const entry = (shape: unknown, start: unknown, end: unknown) => ({ dtype: 'F32', shape, data_offsets: [start, end] });
  const header = { __metadata__: { made: 'here' }, a: entry([2, 3], 0, 24), b: entry([1], 24, 28) };
  const parse = (bytes: Uint8Array) => {
    for (const { shape, data } of parseSafetensors(bytes, 'x').tensors.values()) {
      if (data.length !== shape.reduce((product, extent) => product * extent, 1))
        throw new Error('a tensor of another size than its shape');
    }
  };

  test('the header as it should be is read', () => parse(withHeader(JSON.stringify(header), 28)));
  test.each(
    Object.entries({
      'a hole': { a: entry([2], 0, 8), b: entry([1], 12, 16) },
      'an overlap': { a: entry([2], 0, 8), b: entry([2], 4, 12) },
      'bytes beyond the file': { a: entry([2 ** 20], 0, 2 ** 22) },
      'a product above 2^53': { a: entry([2 ** 30, 2 ** 30], 0, 0) },
      'a product that wraps to the right size at 2^64': { a: entry([2 ** 32, 2 ** 32, 4], 0, 16) },
      'two negative extents': { a: entry([-2, -2], 0, 16) },
      'a half': { a: entry([1.5, 2], 0, 12) },
      'an extent as text': { a: entry(['4'], 0, 16) },
      'offsets backwards': { a: entry([0], 16, 16), b: entry([4], 16, 0) },
      'no entry': { a: null },
      'metadata that is no table': { __metadata__: ['a'], a: entry([4], 0, 16) },
    }),
  )('%s is refused', (_name, hostile) => {
    expect(() => parse(withHeader(JSON.stringify(hostile), 16))).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
  });
  test('other texts are refused', () => {
    const twice = `{"a":${JSON.stringify(entry([1], 0, 4))},"a":${JSON.stringify(entry([1], 4, 8))}}`;
    const proto = `{"__proto__":${JSON.stringify(entry([2], 0, 8))}}`;
    for (const text of [twice, proto, 'null', '[]', '"x"', '', '{', '{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}}']) {
      expect(() => parse(withHeader(text, 8)), text).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
    }
    const long = withHeader('{}', 0);
    for (const length of [1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      new DataView(long.buffer).setBigUint64(0, length, true);
      expect(() => parse(long), String(length)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_CORRUPT' }));
    }
  });
  test('100,000 tensors and a name with a NUL are understood within the caps, a million tensors refused', async () => {
    const many = (count: number) => {
      const entries = Array.from({ length: count }, (_, i) => `"t${i}":{"dtype":"F16","shape":[],"data_offsets":[${i * 2},${i * 2 + 2}]}`);
      return withHeader(`{${entries.join()}}`, count * 2);
    };
    const files = [withHeader(JSON.stringify({ 'a\0b': entry([0], 0, 0) }), 0), many(100_000)];
    await underCaps(files.length, async (index) => parse(files[index]!));
    const million = withHeader(`{${' '.repeat(70 * 2 ** 20)}}`, 0); // as long as the header of a million tensors
    await underCaps(1, async () => expect(() => parse(million)).toThrow(/at most 16777216 are read/));
  });
  test('hostile headers are refused or understood', async () => {
    const seen = await forHostileJson(header, async (text) => parse(withHeader(text, 28)), { runs: times(20_000, 2_000_000) });
    expect(seen.refused).toBeGreaterThan(seen.tried / 2);
    expect(seen.refused).toBeLessThan(seen.tried);
  });
  test('random changes of a file are refused or understood', async () => {
    const whole = encodeSafetensors(tensorsOf(1), { made: 'here' });
    await underCaps(times(2000, 200_000), async (index) => {
      const random = randomFrom(runSeed + index);
      const bytes = Uint8Array.from(whole.subarray(0, random.below(4) === 0 ? random.below(whole.length) : whole.length));
      for (let changes = random.below(6); changes > 0; changes -= 1) bytes[random.below(Math.min(bytes.length, 400))] = random.below(256);
      try {
        parse(bytes);
      } catch (error) {
        expect(flawOf(error), `seed ${runSeed + index}`).toBeUndefined();
      }
    });
  });
});
