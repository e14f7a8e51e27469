/** The f-gram file of this repository: read, checked and ready for look-ups. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { openFgrams } from '@sconelm/ngram-miner';
import { finish, question } from './measured.mjs';

const { directory } = question();
const start = performance.now();
const set = await openFgrams(directory);
const seconds = (performance.now() - start) / 1e3;
finish({ value: seconds, size: set.size, bytesPerFgram: statSync(path.join(directory, 'fgrams.bin')).size / set.size });
