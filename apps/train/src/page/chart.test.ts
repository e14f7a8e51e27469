import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barChart, lineChart } from './chart.js';

/** Every x and y coordinate, from attributes and paths' points. */
function coordinates(svg: string): [number, number][] {
  const lines = [...svg.matchAll(/ points="([^"]*)"/g)].flatMap(([, points]) => points.split(' '));
  return lines.map((point) => point.split(',').map(Number) as [number, number]);
}
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text);

describe('lineChart', () => {
  const value = fc.oneof(fc.integer({ min: 1, max: 1e9 }), fc.double({ min: 1e-6, max: 1e12, noNaN: true }));
  const cases = fc.record({
    points: fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 20 }),
    x: fc.constantFrom('linear' as const, 'log' as const),
    y: fc.constantFrom('linear' as const, 'log' as const),
  });
  it('draws every point inside of its frame, in order, with a tick on each axis', () =>
    fc.assert(
      fc.property(cases, ({ points, x, y }) => {
        const { source } = lineChart({
          title: 't',
          x: { label: '', scale: x },
          y: { label: '', scale: y },
          series: [{ label: 's', points }],
        });
        const drawn = coordinates(source);
        expect(drawn).toHaveLength(points.length);
        for (const [px, py] of drawn) {
          expect(px >= 48 && px <= 352 && py >= 22 && py <= 204).toBe(true);
        }
        points.forEach(([px, py], i) => {
          if (i === 0) return;
          expect(Math.sign(drawn[i][0] - drawn[i - 1][0]) * Math.sign(px - points[i - 1][0])).toBeGreaterThanOrEqual(0);
          expect(Math.sign(drawn[i][1] - drawn[i - 1][1]) * Math.sign(py - points[i - 1][1])).toBeLessThanOrEqual(0);
        });
        expect(source).not.toMatch(/NaN|Infinity/);
        expect(textsOf(source).length).toBeLessThan(30);
      }),
    ));

  it('ticks are round numbers', () => {
    const points = [
      [1, 3],
      [100_000, 47],
    ] as const;
    const { source } = lineChart({
      title: 't',
      x: { label: 'x', scale: 'log' },
      y: { label: 'y', from: 0 },
      series: [{ label: 's', points }],
    });
    expect(textsOf(source)).toEqual(['0', '10', '20', '30', '40', 'y', 'x', '1', '10', '100', '1K', '10K', '100K']);
  });
});

it('bars are as high as their values, from zero', () => {
  const { source } = barChart({ title: 't', x: 'x', y: { label: 'y' }, bars: [4, 2, 1, 0].map((v) => ({ label: `<${v}>`, value: v })) });
  const heights = [...source.matchAll(/<rect[^>]* height="([^"]*)"/g)].map(([, height]) => Number(height));
  expect(heights.map((height) => height / heights[2])).toEqual([4, 2, 1, 0].map((v) => expect.closeTo(v, 1)));
  expect(source).toContain('&lt;4&gt;');
});
