/** The conformance kit: what makes a backend a backend. */
export { backendCases } from './cases.js';
export type { BackendUnderTest, ConformanceCase } from './kit.js';
