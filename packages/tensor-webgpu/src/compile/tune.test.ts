import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import { type Tensor, tensor } from '../tensor.js';
import type { CompileOptions } from './program.js';
import { hostTensor } from './program.js';

beforeEach(() => {
  process.env.XDG_CACHE_HOME = mkdtempSync(join(tmpdir(), 'sconelm-tune-'));
});
afterEach(() => {
  delete process.env.XDG_CACHE_HOME;
  delete process.env.SCONE_TUNE;
});

/** Prepares a product. @returns the distinct kernels of products that were compiled for it, timed and chosen */
async function kernelsCompiled(device: Device, options: CompileOptions): Promise<number> {
  const texts = new Set<string>();
  const create = device.gpu.createShaderModule.bind(device.gpu);
  device.gpu.createShaderModule = (descriptor) => {
    if (descriptor.label?.startsWith('matmul') === true) texts.add(descriptor.code);
    return create(descriptor);
  };
  const w = tensor(new Float32Array(64 * 128).fill(0.5), [64, 128]);
  using program = device.compile(({ x }: { x: Tensor }) => ({ outputs: { y: x.matmul(w) } }), options);
  await program.prepare({ x: hostTensor(new Float32Array(16 * 64), [16, 64]) });
  return texts.size;
}

describe('preparing a program', () => {
  it.each([
    ['', {}],
    [' that is batch-invariant', { batchInvariant: true }],
  ])('times every form%s, once per adapter', async (_, options) => {
    const traits = { software: false, subgroups: false };
    using first = await openDevice({ traits });
    expect(await kernelsCompiled(first, options)).toBe(4);
    using second = await openDevice({ traits });
    expect(await kernelsCompiled(second, options)).toBe(1);
    process.env.SCONE_TUNE = 'force';
    using third = await openDevice({ traits });
    expect(await kernelsCompiled(third, options)).toBe(4);
    process.env.SCONE_TUNE = 'off';
    using fourth = await openDevice({ traits });
    expect(await kernelsCompiled(fourth, options)).toBe(1);
  });

  it('keeps a form that is pinned, and refuses one that there is not', async () => {
    const traits = { software: false, subgroups: false };
    using first = await openDevice({ traits });
    await kernelsCompiled(first, {});
    const [[key, form]] = Object.entries(first.tuning.used);
    const other = form === 'tile-32' ? 'tile-64' : 'tile-32';
    using second = await openDevice({ traits });
    second.tuning.pin({ [key]: other });
    expect(await kernelsCompiled(second, {})).toBe(1);
    expect(second.tuning.used).toEqual({ [key]: other });
    using third = await openDevice({ traits });
    third.tuning.pin({ [key]: 'tile-7' });
    await expect(kernelsCompiled(third, {})).rejects.toMatchObject({ code: 'TUNE_FORM', message: expect.stringContaining("'tile-7'") });
  });

  it('refuses a mode it does not know', async () => {
    process.env.SCONE_TUNE = 'maybe';
    await expect(openDevice()).rejects.toMatchObject({ code: 'TUNE_MODE' });
  });
});
