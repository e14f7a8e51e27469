/** The k largest of many values without sorting them all: a heap of the best so far, its worst on top. */

/** @returns indices of the `k` largest values, descending; of equal values the one of lower index comes first; NaN is never among them */
export function largest(values: ArrayLike<number>, k: number): Uint32Array {
  const size = Math.min(k, values.length);
  const heap = new Uint32Array(size);
  let count = 0;
  /** Whether a comes after b. */
  const isWorse = (a: number, b: number) => values[a] < values[b] || (values[a] === values[b] && a > b);
  const sink = () => {
    const moved = heap[0];
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      if (child + 1 < count && isWorse(heap[child + 1], heap[child])) child += 1;
      if (!isWorse(heap[child], moved)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = moved;
  };
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    if (count < size) {
      let at = count++;
      for (let parent = (at - 1) >> 1; at > 0 && isWorse(i, heap[parent]); parent = (at - 1) >> 1) {
        heap[at] = heap[parent];
        at = parent;
      }
      heap[at] = i;
    } else if (size > 0 && values[i] > values[heap[0]]) {
      heap[0] = i;
      sink();
    }
  }
  const found = count;
  for (count -= 1; count > 0; count -= 1) {
    const worst = heap[0];
    heap[0] = heap[count];
    heap[count] = worst;
    sink();
  }
  return heap.subarray(0, found);
}
