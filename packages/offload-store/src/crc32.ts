/** CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320): zlib's where Node has it, else four bytes a step by tables. [Kounavis & Berry, 2005] */

const TABLES = (() => {
  const tables = Array.from({ length: 4 }, () => new Uint32Array(256));
  for (let i = 0; i < 256; i += 1) {
    let sum = i;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    tables[0]![i] = sum;
  }
  for (let t = 1; t < 4; t += 1) {
    for (let i = 0; i < 256; i += 1) {
      const before = tables[t - 1]![i]!;
      tables[t]![i] = (before >>> 8) ^ tables[0]![before & 255]!;
    }
  }
  return tables;
})();

/** Exported for its test. */
export function crc32ByTables(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let sum = 0xffffffff;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    sum ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    sum = t3[sum & 255]! ^ t2[(sum >>> 8) & 255]! ^ t1[(sum >>> 16) & 255]! ^ t0[sum >>> 24]!;
  }
  for (; i < bytes.length; i += 1) sum = (sum >>> 8) ^ t0[(sum ^ bytes[i]!) & 255]!;
  return ~sum >>> 0;
}

const zlib = (globalThis.process as { getBuiltinModule?: (name: string) => typeof import('node:zlib') } | undefined)?.getBuiltinModule?.(
  'node:zlib',
);

export const crc32: (bytes: Uint8Array) => number = zlib?.crc32 ?? crc32ByTables;
