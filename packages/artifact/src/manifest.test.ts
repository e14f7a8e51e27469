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
      await write(body);
      expect(await readManifest(path, form)).toEqual(body);
    }),
    { numRuns: 40 },
  ));

test('no single changed bit passes', async () => {
  const body = { rows: 7, name: 'é', data: { a: [1, null] } };
  await write(body);
  const bytes = await readFile(path);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, bytes);
    const outcome = await readManifest(path, form).catch((error: unknown) => error);
    if (!(outcome instanceof ArtifactError)) expect(outcome).toEqual(body); // white space may change
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
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
