import { describe, expect, it } from 'vitest';
import { encodeSafetensors, parseSafetensors, type StoredDType } from './safetensors.js';

const values = Float32Array.of(1, -2.5, 0.1, 1e-5, 60000, 3);
const tensors = new Map([
  ['a', { shape: [5], data: values.slice(0, 5) }],
  ['b', { shape: [1, 1], data: values.slice(5) }],
]);

describe('safetensors', () => {
  it.each([
    ['F32', 0],
    ['F16', 2 ** -11],
    ['BF16', 2 ** -8],
  ] as const)('gives back what was stored as %s', (dtype: StoredDType, relative) => {
    const bytes = encodeSafetensors(tensors, { made: 'here' }, { dtype });
    const { tensors: found, metadata } = parseSafetensors(bytes, 'memory');
    expect(metadata).toEqual({ made: 'here' });
    for (const [name, { shape, data }] of tensors) {
      expect(found.get(name)?.shape).toEqual(shape);
      data.forEach((value, i) => {
        expect(Math.abs((found.get(name)?.data[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(
          relative * Math.abs(value) + (dtype === 'F16' ? 2 ** -25 : 0),
        );
      });
    }
  });

  it('refuses a dtype it does not know, and a truncated file', () => {
    const bytes = encodeSafetensors(tensors);
    const text = new TextDecoder('latin1').decode(bytes);
    for (const dtype of ['I32', 'Q32']) {
      const other = Uint8Array.from(text.replace('"F32"', `"${dtype}"`), (c) => c.charCodeAt(0));
      expect(() => parseSafetensors(other, 'x')).toThrow(`x: tensor 'a' is ${dtype}, expected F32, F16 or BF16`);
    }
    expect(() => parseSafetensors(bytes.subarray(0, bytes.length - 1), 'x')).toThrow('truncated');
  });
});
