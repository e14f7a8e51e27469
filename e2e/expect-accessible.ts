/** axe-core over a page as it is. */
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Fails with each rule that is violated and where. The page's policy may forbid scripts of others: this one comes by the debugger. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate((await import('node:fs')).readFileSync(AXE, 'utf8'));
  const violations = await page.evaluate<{ id: string; nodes: { html: string }[] }[]>(`axe.run().then(({ violations }) => violations)`);
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual([]);
}
