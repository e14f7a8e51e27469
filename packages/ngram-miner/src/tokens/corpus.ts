/** Tokens on disk as the miner reads them: plain little-endian numbers, shard after shard, larger than memory if need be. */

export interface TokenShard {
  readonly path: string;
  /** How many tokens the file holds; its size is this times the dtype's width. */
  readonly tokens: number;
  /** CRC-32 of each block of `blockBytes`, where they are known: a reader checks what it reads. */
  readonly blocks?: readonly number[];
  /** The file that says of each document where it starts and where it is from, where there is one: `readShardDocuments` reads it. */
  readonly documents?: { readonly path: string; readonly count: number };
}

/** A document lies whole in one shard, so the order and size of shards change nothing that is counted. */
export interface TokenCorpus {
  readonly shards: readonly TokenShard[];
  readonly dtype: 'u16' | 'u32';
  /** Bytes a checksum covers. */
  readonly blockBytes: number;
  readonly vocabSize: number;
  /** The token that opens a document; it belongs to the document's n-grams, and no n-gram reaches over it. */
  readonly boundary: number;
}

/** Bytes of one token. */
export const tokenBytes = (dtype: TokenCorpus['dtype']): 2 | 4 => (dtype === 'u16' ? 2 : 4);

export const tokenCountOf = ({ shards }: TokenCorpus): number => shards.reduce((sum, { tokens }) => sum + tokens, 0);
