/** The miner of this repository: from shards to the ranked f-grams, written as columns. Making the set of them, which peers have not, is a fact. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { mineRanked, publishFgrams } from '@sconelm/ngram-miner/mine';
import { finish, question, takenSoFar } from './measured.mjs';
import { tokenCorpus } from './mine.mjs';

const { corpus, columns, ...options } = question();
let passes = 0;
const ranked = await mineRanked(tokenCorpus(corpus), {
  ...options,
  maxFgrams: 2 ** 31 - 1,
  directory: path.join(columns, 'work'),
  onPlan: (plan) => {
    passes = plan.passes;
  },
});
const { size, parents, tokens, counts } = ranked;
mkdirSync(columns, { recursive: true });
for (const [name, column] of Object.entries({ parents, tokens, counts })) writeFileSync(path.join(columns, name), column);
const taken = takenSoFar();
await publishFgrams(path.join(columns, 'set'), ranked, options);
finish({ size, passes, countBytes: counts.BYTES_PER_ELEMENT, publishCpuSeconds: takenSoFar().cpuSeconds - taken.cpuSeconds }, taken);
