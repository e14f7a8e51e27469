import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CLICKHOUSE, loBits, miningSql } from './sql.mjs';

const words = (sql: string) => sql.replace(/\s+/g, ' ').trim();

test('the SQL for a cluster is that of the bench', () => {
  const file = words(readFileSync(new URL('../../../examples/mine-with-a-queue/cluster.sql', import.meta.url), 'utf8'));
  const { statements, ranked } = miningSql({ ...CLICKHOUSE, isIn: 'GLOBAL IN' }, { maxLength: 5, minCount: 5, source: 'keys' });
  for (const statement of [...statements, ranked]) expect(file).toContain(words(statement));
});

test('a level asks for both halves of its n-grams, in the form that the level before has them', () => {
  const { statements } = miningSql(CLICKHOUSE, { maxLength: 8, minCount: 5, source: 'keys' });
  expect(statements).toHaveLength(7);
  expect(statements[6]).toContain('(hi, bitShiftRight(lo, 16)) IN (SELECT k0, k1 FROM f7)');
  expect(statements[6]).toContain(
    '(bitOr(bitShiftLeft(toUInt64(hi), 16), bitShiftRight(lo, 48)), bitAnd(lo, 281474976710655)) IN (SELECT k0, k1 FROM f7)',
  );
  expect(loBits(8)).toBe(64);
});
