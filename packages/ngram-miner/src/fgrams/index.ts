export { encodeFgrams, type FgramManifest, FgramSet, Matcher } from './fgram-set.js';
