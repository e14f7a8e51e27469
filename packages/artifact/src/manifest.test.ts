/** A manifest comes back as it was written, or a typed error says what is wrong with it. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ArtifactError, readManifest, writeManifest } from './index.js';

let directory: string;
let path: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'artifact-manifest-'));
  path = join(directory, 'made', 'manifest.json');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const form = { kind: 'sample', version: 2, schema: z.strictObject({ rows: z.int().nonnegative(), name: z.string(), data: z.json() }) };
const write = (body: Record<string, unknown>, head = { kind: 'sample', version: 2 }) => writeManifest(path, { ...body, ...head });

test('read gives what was written', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(), fc.string(), fc.jsonValue(), async (rows, name, value) => {
      const body = { rows, name, data: JSON.parse(JSON.stringify(value)) };
      fc.pre(!JSON.stringify(body).includes('"__proto__":')); // refused: a test of its own
      await write(body);
      expect(await readManifest(path, form)).toEqual(body);
    }),
    { numRuns: 40 },
  ));

test('no single changed bit passes', async () => {
  await write({ rows: 7, name: 'é', data: { a: [1, null] } });
  const bytes = await readFile(path);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, bytes);
    await expect(readManifest(path, form)).rejects.toBeInstanceOf(ArtifactError);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
});

test('what JSON lets pass is refused: a field twice, other spellings, __proto__', async () => {
  await write({ rows: 7, name: 'a', data: { b: 1 } });
  const text = await readFile(path, 'utf8');
  const variants = {
    'a field twice': text.replace('"rows": 7', '"rows": 8,\n  "rows": 7'),
    'a nested field twice': text.replace('"b": 1', '"b": 2, "b": 1'),
    'a number spelt otherwise': text.replace('"rows": 7', '"rows": 7.0'),
    'a letter spelt otherwise': text.replace('"name": "a"', '"name": "\\u0061"'),
    'beyond the range of numbers': text.replace('"b": 1', '"b": 1e400'),
    'nested too deep': text.replace('"b": 1', `"b": ${'['.repeat(100_000)}${']'.repeat(100_000)}`),
    'called __proto__': text.replace('"b": 1', '"__proto__": 1'),
  };
  for (const [name, variant] of Object.entries(variants)) {
    expect(variant, name).not.toBe(text);
    await writeFile(path, variant);
    await expect(readManifest(path, form), name).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
  }
  const proto = write({ rows: 7, name: 'a', data: JSON.parse('{ "__proto__": 1 }') });
  await expect(proto).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT', message: expect.stringContaining('__proto__') });
});

describe('errors', () => {
  const read = () => readManifest(path, form);
  const good = { rows: 1, name: 'a', data: null };

  test('missing', async () => {
    await expect(readManifest(`${path}.none`, form)).rejects.toMatchObject({ code: 'ARTIFACT_MISSING', remedy: expect.any(String) });
  });
  test('not JSON, not an object', async () => {
    for (const text of ['', '{"kind":', '[]', '"x"', 'null']) {
      await writeFile(path, text);
      await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' });
    }
  });
  test('another kind', async () => {
    await write(good, { kind: 'other', version: 2 });
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_KIND', message: `${path}: kind is "other", expected "sample"` });
  });
  test('an older and a newer version, each with its remedy', async () => {
    await write(good, { kind: 'sample', version: 1 });
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_VERSION', remedy: expect.stringContaining('Make this artifact again') });
    await write(good, { kind: 'sample', version: 3 });
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_VERSION', remedy: expect.stringContaining('newer version') });
  });
  test('an invalid field is named', async () => {
    await write({ ...good, rows: -1 });
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT', message: expect.stringContaining('rows') });
    await write({ ...good, extra: 1 });
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT', message: expect.stringContaining('extra') });
  });
  test('a changed value', async () => {
    await write(good);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"rows": 1', '"rows": 2'));
    await expect(read()).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT', message: expect.stringContaining('checksum') });
  });
});

test('a folder caught between the two renames of its replacement is read all the same', async () => {
  await write({ rows: 3, name: '', data: 1 });
  await rename(join(directory, 'made'), join(directory, '.made.previous'));
  expect(await readManifest(path, form)).toMatchObject({ rows: 3 });
});
