/** `scone-infer publish`: what it writes, and what it does not overwrite. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { sha256File } from '@sconelm/artifact';
import { openStore } from '@sconelm/offload-store';
import { openDevice } from '@sconelm/tensor-webgpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { commandsInFolder } from './command.js';
import { createTinyRun } from './tiny-run.js';

const { folder, command } = commandsInFolder();
const run = path.join(folder, 'runs/tiny');
const site = path.join(folder, 'site');

const manifestOf = (directory: string) => JSON.parse(readFileSync(path.join(directory, 'model.json'), 'utf8'));
const filesIn = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(directory, name)).isFile())
    .sort();

beforeAll(async () => {
  using device = await openDevice();
  await createTinyRun(device, run);
  const { code, out } = await command('infer', ['publish', run, site]);
  expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('serve it over https, or on localhost') });
});

describe('publish', () => {
  it('writes a page, the model and its rows, and says how large each file is and what is in it', async () => {
    const { files, fgrams } = manifestOf(site);
    expect(filesIn(site)).toEqual([...Object.keys(files), 'model.json'].sort());
    expect(Object.keys(files)).toEqual(
      expect.arrayContaining(['index.html', 'decoder.safetensors', 'tokenizer.json', 'fgrams/fgrams.bin', 'rows/rows-00000.bin']),
    );
    for (const [name, { bytes, sha256 }] of Object.entries<{ bytes: number; sha256: string }>(files)) {
      expect(statSync(path.join(site, name)).size, name).toBe(bytes);
      expect(await sha256File(path.join(site, name)), name).toBe(sha256);
    }
    for (const name of ['preact', 'zod', '@huggingface/tokenizers'])
      expect(readFileSync(path.join(site, 'licenses.md'), 'utf8')).toContain(`## ${name} - `);
    // The rows are those of the run, in blocks that are small enough to be asked for one by one.
    await using rows = await openStore(`file:${site}/rows`);
    await using ofRun = await openStore(`file:${run}/rows`);
    expect(rows.manifest).toMatchObject({ binding: ofRun.manifest.binding, rows: fgrams.rows, rowBytes: fgrams.rowBytes });
    expect(rows.manifest.blockRows * fgrams.rowBytes).toBeLessThanOrEqual(4096);
    const ids = Uint32Array.from({ length: rows.rows }, (_, id) => id);
    const [found, expected] = [new Float32Array(rows.rows * rows.width), new Float32Array(rows.rows * rows.width)];
    await rows.read(ids, found);
    await ofRun.read(ids, expected);
    expect(found).toEqual(expected);
  });

  it('has at most 150 KB of JavaScript, as it is sent', () => {
    const scripts = filesIn(site).filter((name) => name.endsWith('.js'));
    expect(scripts.length).toBeGreaterThan(1);
    const bytes = scripts.reduce((sum, name) => sum + gzipSync(readFileSync(path.join(site, name)), { level: 9 }).length, 0);
    expect(bytes).toBeLessThan(150_000);
  });

  it('replaces what it wrote, and nothing that it does not know', async () => {
    const target = path.join(folder, 'again');
    expect(await command('infer', ['publish', run, target])).toMatchObject({ code: 0 });
    const before = manifestOf(target);
    expect(await command('infer', ['publish', run, target, '--weights', 'f16', '--rows', 'int8'])).toMatchObject({ code: 0 });
    const after = manifestOf(target);
    expect(after.weights).toBe('f16');
    for (const name of ['decoder.safetensors', 'rows/rows-00000.bin'])
      expect(after.files[name].bytes).toBeLessThan(0.6 * before.files[name].bytes);

    writeFileSync(path.join(target, 'CNAME'), 'example.test');
    const kept = filesIn(target);
    const refused = await command('infer', ['publish', run, target]);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('again holds CNAME, which publish did not write') });
    expect(filesIn(target)).toEqual(kept);
    rmSync(path.join(target, 'CNAME'));
    writeFileSync(path.join(target, 'model.json'), '{}');
    expect(await command('infer', ['publish', run, target])).toMatchObject({
      code: 1,
      err: expect.stringContaining('model.json: kind is missing'),
    });

    const other = path.join(folder, 'other');
    mkdirSync(path.join(other, 'deep'), { recursive: true });
    expect(await command('infer', ['publish', run, other])).toMatchObject({ code: 0 });
    const file = path.join(folder, 'file');
    writeFileSync(file, 'mine');
    expect(await command('infer', ['publish', run, file])).toMatchObject({ code: 1, err: expect.stringContaining('file is no folder') });
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  it('leaves nothing where the run is damaged', async () => {
    const broken = path.join(folder, 'broken');
    const store = `file:${path.join(folder, 'none')}`;
    expect(await command('infer', ['publish', run, broken, '--store', store])).toMatchObject({ code: 1 });
    expect(await command('infer', ['publish', path.join(folder, 'nothing'), broken])).toMatchObject({ code: 1 });
    expect(existsSync(broken)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
