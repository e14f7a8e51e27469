/** The automaton of this repository. */
import { openFgrams } from '@sconelm/ngram-miner';
import { matching } from './matching.mjs';

await matching(
  async ({ directory, boundary }) => {
    const set = await openFgrams(directory);
    return () => set.matcher(boundary);
  },
  async ({ directory, boundary }) => {
    const set = await openFgrams(directory);
    return (tokens, ids, lengths) => set.match(tokens, { ids, lengths, boundary });
  },
);
