import { describe, expect, it } from 'vitest';
import { fromBfloat16, fromHalfBits, toBfloat16, toHalfBits } from './dtype.js';

describe('f16', () => {
  it('keeps all of its own numbers', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = fromHalfBits(half);
      if (Number.isNaN(value)) expect(toHalfBits(value) & 0x7c00).toBe(0x7c00);
      else if (half !== 0x8000) expect(toHalfBits(value)).toBe(half);
    }
  });

  it('rounds to the nearest, ties to even, and overflows to infinity', () => {
    for (let half = 0; half < 0x7bff; half++) {
      const [low, high] = [fromHalfBits(half), fromHalfBits(half + 1)];
      expect(toHalfBits((low + high) / 2)).toBe(half % 2 === 0 ? half : half + 1);
      expect(toHalfBits(low + (high - low) * 0.25)).toBe(half);
      expect(toHalfBits(low + (high - low) * 0.75)).toBe(half + 1);
    }
    expect(toHalfBits(65519)).toBe(0x7bff);
    expect(toHalfBits(65520)).toBe(0x7c00);
    expect(toHalfBits(-1e9)).toBe(0xfc00);
  });
});

describe('bf16', () => {
  it('keeps all of its own numbers, and rounds to the nearest, ties to even', () => {
    const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    const back = toBfloat16(fromBfloat16(all));
    all.forEach((half, i) => {
      if ((half & 0x7fff) > 0x7f80) expect(back[i] & 0x7f80).toBe(0x7f80);
      else expect(back[i]).toBe(half);
    });
    const [low, high] = fromBfloat16(Uint16Array.of(0x3f80, 0x3f81));
    expect([...toBfloat16(Float32Array.of((low + high) / 2, low + (high - low) * 0.51, -1e39))]).toEqual([0x3f80, 0x3f81, 0xff80]);
  });
});
