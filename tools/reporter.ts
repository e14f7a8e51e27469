/** Closes a test run with what was skipped and why, and one plain line of counts. */
import process from 'node:process';
import type { Reporter, TestModule } from 'vitest/node';

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const lines: string[] = [];
    for (const module of modules) {
      // A file that cannot be loaded has no tests to fail, but it is a failure.
      if (module.state() === 'failed' && module.children.size === 0) counts.failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        counts[result.state]++;
        if (result.state === 'skipped') lines.push(`skipped: ${test.fullName}${result.note === undefined ? '' : ` (${result.note})`}`);
      }
    }
    process.stdout.write(
      `${[...lines, `${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`].join('\n')}\n`,
    );
  }
}
