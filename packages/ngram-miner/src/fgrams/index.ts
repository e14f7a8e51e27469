export { type FetchFgramsOptions, fetchFgrams } from './fetch-fgrams.js';
export { FgramSet, type MatchOptions } from './fgram-set.js';
export { encodeFgramSet, type FgramManifest } from './format.js';
export { Matcher } from './matcher.js';
export type { RankedFgrams } from './ranked.js';
