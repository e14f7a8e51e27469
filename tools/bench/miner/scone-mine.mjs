/** The miner of this repository: from shards to the published set. */
import path from 'node:path';
import { finish, question } from './measured.mjs';
import { mineFgrams } from './mine.mjs';

const { corpus, maxLength, minCount, scratch } = question();
await mineFgrams(corpus, { maxLength, minCount, maxFgrams: 2 ** 31 - 1, directory: path.join(scratch, 'fgrams') });
finish({});
