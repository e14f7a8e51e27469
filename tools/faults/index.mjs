/** Faults for everything that writes and reads files. README.md says how to use them. */

export { underCaps } from './caps.mjs';
export { forDamage } from './damage.mjs';
export { inFolder, treeOf } from './folder.mjs';
export { forHostileJson } from './fuzz.mjs';
export { hostileText, hostileVariants, objectIn } from './json.mjs';
export { forKills } from './kill.mjs';
export { allFaults, forEveryCall, forEveryCallOfReader } from './nth-call.mjs';
export { hostilePaths } from './paths.mjs';
export { forPowerCuts } from './power-cut.mjs';
export { randomFrom, runSeed, times } from './random.mjs';
export { forSeeds } from './seeds.mjs';
export { VirtualTime } from './virtual-time.mjs';
export { flawOf } from './writer.mjs';
