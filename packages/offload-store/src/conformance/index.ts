/** What every backend must do, as cases for any test runner: `for (const { name, run } of backendCases(...)) it(name, run)`. */
export { type BackendUnderTest, backendCases, type ConformanceCase } from './cases.js';
