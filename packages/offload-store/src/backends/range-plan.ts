/** Which ranges of bytes to ask for, so that few requests bring all rows: neighbours and near neighbours of one file come together. */
import type { StoreManifest } from '../manifest.js';

export interface ByteRange {
  readonly position: number;
  readonly bytes: number;
}

export interface RowRangeRequest extends ByteRange {
  readonly shard: number;
  /** The row that the range begins with. */
  readonly firstRow: number;
  /** Of the ids, those from `start` to `end` - 1 lie in it. */
  readonly start: number;
  readonly end: number;
}

/** One request brings at most this much, so that a failure costs little and requests can overlap. */
const MAX_REQUEST_BYTES = 2 ** 22;

/** @param ids unique, ascending @param maxGapBytes that are rather read along than asked for apart */
export function planRanges(
  ids: Uint32Array,
  { rowBytes, shardRows }: Pick<StoreManifest, 'rowBytes' | 'shardRows'>,
  maxGapBytes: number,
): RowRangeRequest[] {
  const ranges: RowRangeRequest[] = [];
  for (let start = 0; start < ids.length; ) {
    const firstRow = ids[start]!;
    const shard = Math.floor(firstRow / shardRows);
    let end = start + 1;
    while (
      end < ids.length &&
      ids[end]! < (shard + 1) * shardRows &&
      (ids[end]! - ids[end - 1]! - 1) * rowBytes <= maxGapBytes &&
      (ids[end]! - firstRow + 1) * rowBytes <= MAX_REQUEST_BYTES
    ) {
      end += 1;
    }
    const bytes = (ids[end - 1]! - firstRow + 1) * rowBytes;
    ranges.push({ shard, firstRow, start, end, position: (firstRow - shard * shardRows) * rowBytes, bytes });
    start = end;
  }
  return ranges;
}
