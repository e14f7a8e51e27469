/** Faults for everything that writes and reads files. README.md says how to use them. */
export { forDamage } from './damage.mjs';
export { inFolder, treeOf } from './folder.mjs';
export { allFaults, forEveryCall } from './nth-call.mjs';
export { forPowerCuts } from './power-cut.mjs';
export { runSeed, times } from './random.mjs';
export { flawOf } from './writer.mjs';
