/** The kernel in plain TypeScript: the reference of the WebAssembly one, and its stand-in. The keys are partitioned symbol by symbol. [Bentley & Sedgewick, 1997] */
import type { Kernel, KernelSettings } from './kernel.js';

export function createTypescriptKernel(memory: SharedArrayBuffer, flush: () => void): Kernel {
  const bytes = new Uint8Array(memory);
  const shorts = new Uint16Array(memory, 0, memory.byteLength >>> 1);
  const words = new Uint32Array(memory, 0, Math.floor(memory.byteLength / 4));
  const doubles = new Float64Array(memory, 0, Math.floor(memory.byteLength / 8));
  let settings: KernelSettings;
  let bits = 0;
  /** The symbol that ends a key. */
  let end = 0;
  /** u32 words of a key. */
  let width = 2;
  let minCount = 0;
  let prefixLength = 0;
  let at = 0;

  const tokenAt = (chunk: number, i: number) => (settings.tokenBytes === 2 ? shorts[chunk / 2 + i] : words[chunk / 4 + i]);

  function follows(chunk: number, i: number, prefix: number, prefixTokens: number): boolean {
    if (i < prefixTokens) return false;
    for (let k = 0; k < prefixTokens; k++) if (tokenAt(chunk, i - prefixTokens + k) !== words[prefix / 4 + k]) return false;
    return true;
  }

  /** A key lies in memory as little-endian u64, high one first, so that its 32 bits number w, from the top, are at w ^ 1. */
  function symbolAt(key: number, depth: number): number {
    const offset = depth * bits;
    const w = offset >>> 5;
    const shift = offset & 31;
    const head = words[key + (w ^ 1)] << shift;
    if (shift + bits <= 32) return head >>> (32 - bits);
    return (head | (words[key + ((w + 1) ^ 1)] >>> (32 - shift))) >>> (32 - bits);
  }

  function emit(depth: number, symbol: number, count: number): void {
    if (at + 16 > settings.outputEnd) {
      flush();
      at = settings.output;
    }
    const over = count - minCount;
    bytes[at++] = ((prefixLength + 1 + depth) << 5) | Math.min(over, 31);
    const token = words[settings.tokens / 4 + symbol];
    for (let i = 0; i < settings.outputTokenBytes; i++) bytes[at++] = token >>> (8 * i);
    if (over < 31) return;
    let more = over - 31;
    for (; more >= 128; more >>>= 7) bytes[at++] = more | 128;
    bytes[at++] = more;
  }

  function swap(a: number, b: number): void {
    for (let w = 0; w < width; w++) {
      const word = words[a + w];
      words[a + w] = words[b + w];
      words[b + w] = word;
    }
  }

  function count(from: number, to: number, depth: number): void {
    while ((to - from) / width >= minCount) {
      const middle = from + Math.floor((to - from) / width / 2) * width;
      const [a, b, c] = [symbolAt(from, depth), symbolAt(middle, depth), symbolAt(to - width, depth)];
      const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
      // from..below < pivot, below..key = pivot, above..to > pivot
      let below = from;
      let above = to;
      for (let key = from; key < above; ) {
        const symbol = symbolAt(key, depth);
        if (symbol < pivot) {
          swap(key, below);
          below += width;
          key += width;
        } else if (symbol > pivot) {
          above -= width;
          swap(key, above);
        } else key += width;
      }
      count(from, below, depth);
      if (pivot === end) return;
      emitGroup(below, above, depth, pivot);
      from = above;
    }
  }

  function emitGroup(from: number, to: number, depth: number, symbol: number): void {
    const size = (to - from) / width;
    if (size < minCount) return;
    emit(depth, symbol, size);
    if (depth + 1 < settings.length - prefixLength) count(from, to, depth + 1);
  }

  return {
    configure(next) {
      settings = next;
      ({ bits, minCount } = next);
      end = 2 ** bits - 1;
      width = next.keyBytes / 4;
      at = next.output;
    },
    histogram({ address, from, to }, prefix, prefixTokens, counts) {
      for (let i = from; i < to; i++) {
        const token = tokenAt(address, i);
        if (token >= settings.vocabSize) return i;
        if (prefixTokens > 0 && (token === settings.boundary || !follows(address, i, prefix, prefixTokens))) continue;
        doubles[counts / 8 + token]++;
      }
      return -1;
    },
    scatter({ address, from, to, size }, prefix, prefixTokens, low, high, places) {
      const key = new Uint32Array(width).fill(0xffff_ffff); // from the top
      const used = (settings.length - prefixTokens) * bits;
      const fill = key.map((_, w) => (used >= 32 * (w + 1) ? 0 : used <= 32 * w ? 0xffff_ffff : 0xffff_ffff >>> (used - 32 * w)));
      for (let i = size - 1; i >= from; i--) {
        const token = tokenAt(address, i);
        const symbol = words[settings.symbols / 4 + token];
        const isWanted = i < to && symbol >= low && symbol < high;
        if (isWanted && (prefixTokens === 0 || (token !== settings.boundary && follows(address, i, prefix, prefixTokens)))) {
          const place = words[places / 4 + symbol];
          for (let w = 0; w < width; w++) words[place / 4 + (w ^ 1)] = key[w] | fill[w];
          words[places / 4 + symbol] = place + settings.keyBytes;
        }
        if (token === settings.boundary || symbol === end) key.fill(0xffff_ffff);
        else if (bits === 32) {
          key.copyWithin(1, 0);
          key[0] = symbol;
        } else {
          for (let w = width - 1; w > 0; w--) key[w] = (key[w] >>> bits) | (key[w - 1] << (32 - bits));
          key[0] = (key[0] >>> bits) | (symbol << (32 - bits));
        }
      }
    },
    count(symbol, from, to, prefixTokens) {
      prefixLength = prefixTokens;
      emitGroup(from / 4, to / 4, -1, symbol);
    },
    outputSize: () => at - settings.output,
    emptyOutput() {
      at = settings.output;
    },
  };
}
