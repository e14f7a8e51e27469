/** The pass over a corpus that finds where a set's f-grams come from. */
import type { FgramSet } from '../fgrams/index.js';
import type { TokenCorpus } from '../tokens/corpus.js';
import { readTokens } from '../tokens/read-tokens.js';
import { publishSources } from './fgram-sources.js';
import { SourceCollector } from './source-collector.js';

export interface MineSourcesOptions {
  /** N: documents kept of each f-gram. */
  readonly perFgram: number;
  /** Where the set is published; the sources are put beside it. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  /** @param tokens that were looked at so far */
  readonly onProgress?: (tokens: number) => void;
}

/**
 * Takes S · (8 N + 1) bytes of memory.
 * @param corpus that the set was mined from
 * @throws {MinerError} MINE_OPTION, DATASET_CORRUPT; {ArtifactError}; the signal's reason when aborted
 */
export async function mineSources(
  set: FgramSet,
  corpus: TokenCorpus,
  { perFgram, directory, signal, onProgress }: MineSourcesOptions,
): Promise<void> {
  const collector = new SourceCollector(set, perFgram);
  let done = 0;
  for (const shard of corpus.shards) {
    collector.startShard();
    for await (const tokens of readTokens({ ...corpus, shards: [shard] })) {
      signal?.throwIfAborted();
      collector.add(tokens);
      done += tokens.length;
      onProgress?.(done);
    }
  }
  await publishSources(directory, { set, corpus, collector });
}
