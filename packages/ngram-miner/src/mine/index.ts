/** Mining for those who have tokens: without the rest of the package, which takes as long to load. */
export { MinerError, type MinerErrorCode } from '../errors.js';
export type { FgramSet } from '../fgrams/fgram-set.js';
export type { RankedFgrams } from '../fgrams/ranked.js';
export { openFgrams, publishFgrams } from '../fgrams-files.js';
export { type TokenCorpus, type TokenShard, tokenBytes, tokenCountOf } from '../tokens/corpus.js';
export { type OpenShardsOptions, openShards } from '../tokens/open-shards.js';
export type { KernelName } from './kernel/kernel.js';
export { type MineOptions, mergeParts, mine, minePart, mineRanked, planMining, type SetOptions } from './mine.js';
export type { Part } from './mining.js';
export type { CountOptions, MiningPlan, MiningProgress } from './options.js';
