/** The cases of the conformance kit; each uses stores of its own and throws where the backend fails it. */
import { bindingCases } from './binding.js';
import { closingCases } from './closing.js';
import { faultCases } from './faults.js';
import type { BackendUnderTest, ConformanceCase } from './kit.js';
import { publishingCases } from './publishing.js';
import { randomCases } from './random.js';
import { readingCases } from './reading.js';
import { writingCases } from './writing.js';

/** For any test runner: `for (const { name, run } of backendCases(backend)) test(name, run)`. */
export function backendCases(backend: BackendUnderTest): ConformanceCase[] {
  return [readingCases, writingCases, randomCases, publishingCases, bindingCases, closingCases, faultCases].flatMap((casesOf) =>
    casesOf(backend),
  );
}
