import fc from 'fast-check';
import { expect, it } from 'vitest';
import { lookUp } from './index.js';

it('matched positions take their rows, lost ones and those without a match keep their tokens', async () => {
  const position = fc.record({ token: fc.nat(9), id: fc.integer({ min: -1, max: 9 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(position), fc.integer({ min: 1, max: 4 }), fc.uniqueArray(fc.nat(9)), async (positions, width, gone) => {
      const rowOf = (id: number) => Array.from({ length: width }, (_, column) => 1 + id * 10 + column);
      let reads = 0;
      const source = {
        read(ids: Uint32Array, into: Float32Array, { lost }: { readonly lost: Uint8Array }) {
          reads += 1;
          ids.forEach((id, i) => {
            lost[i] = gone.includes(id) ? 1 : 0;
            into.set(rowOf(id), i * width);
          });
        },
      };
      const [given, ids] = [positions.map(({ token }) => token), positions.map(({ id }) => id)];
      const { tokens, rows } = await lookUp(source, given, ids, width);
      const taken = ids.map((id) => id >= 0 && !gone.includes(id));
      expect([...tokens]).toEqual(given.map((token, i) => (taken[i] ? -1 : token)));
      expect([...rows]).toEqual(ids.flatMap((id, i) => (taken[i] ? rowOf(id) : Array<number>(width).fill(0))));
      expect(reads).toBe(ids.some((id) => id >= 0) ? 1 : 0);
    }),
  );
  expect(await lookUp(undefined, [1, 2], [3, -1], 2)).toEqual({ tokens: Int32Array.of(1, 2), rows: new Float32Array(4) });
});
