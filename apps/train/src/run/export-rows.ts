/** Rows of a store for other tools: `rows` [n, D] in safetensors files that follow one another by id, and the tokens of every id in fgrams.jsonl. */
import path from 'node:path';
import { publishBytes, publishFile } from '@sconelm/artifact';
import { encodeSafetensors, type StoredDType } from '@sconelm/decoder';
import type { FgramSet } from '@sconelm/ngram-miner';
import type { RowStore } from '@sconelm/offload-store';

/** Of one file, as f32: what the host holds of them at a time. */
const SHARD_BYTES = 2 ** 28;
const LINES = 65_536;

export async function exportRows(directory: string, set: FgramSet, store: RowStore, dtype: StoredDType): Promise<void> {
  const { rows, width } = store;
  const perShard = Math.max(1, Math.floor(SHARD_BYTES / (4 * width)));
  const shards = Math.ceil(rows / perShard);
  const numbered = (i: number) => String(i).padStart(5, '0');
  for (let shard = 0; shard < shards; shard++) {
    const first = shard * perShard;
    const count = Math.min(perShard, rows - first);
    const data = new Float32Array(count * width);
    await store.read(
      Uint32Array.from({ length: count }, (_, i) => first + i),
      data,
    );
    const bytes = encodeSafetensors(
      new Map([['rows', { shape: [count, width], data }]]),
      { format: 'pt', first: String(first) },
      { dtype },
    );
    await publishBytes(path.join(directory, `rows-${numbered(shard + 1)}-of-${numbered(shards)}.safetensors`), bytes);
  }
  await publishFile(path.join(directory, 'fgrams.jsonl'), async (file) => {
    for (let from = 0; from < rows; from += LINES) {
      const ids = Array.from({ length: Math.min(LINES, rows - from) }, (_, i) => from + i);
      await file.writeFile(ids.map((id) => `[${set.tokensOf(id).join()}]\n`).join(''));
    }
  });
}
