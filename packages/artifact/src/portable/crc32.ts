/** CRC-32 as zlib computes it (IEEE 802.3, reflected polynomial 0xEDB88320): by zlib where Node has it, else eight bytes at a time. [Kounavis & Berry, 2005] */
const TABLES = Array.from({ length: 8 }, () => new Int32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  TABLES[0][byte] = sum;
}
for (let t = 1; t < 8; t++) {
  for (let byte = 0; byte < 256; byte++) TABLES[t][byte] = (TABLES[t - 1][byte] >>> 8) ^ TABLES[0][TABLES[t - 1][byte] & 0xff];
}

/** Without zlib; exported for its test. */
export function crc32ByTables(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let sum = -1;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    sum ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    sum =
      t7[sum & 0xff] ^
      t6[(sum >>> 8) & 0xff] ^
      t5[(sum >>> 16) & 0xff] ^
      t4[sum >>> 24] ^
      t3[bytes[i + 4]] ^
      t2[bytes[i + 5]] ^
      t1[bytes[i + 6]] ^
      t0[bytes[i + 7]];
  }
  for (; i < bytes.length; i++) sum = (sum >>> 8) ^ t0[(sum ^ bytes[i]) & 0xff];
  return ~sum >>> 0;
}

type BuiltinModules = { readonly getBuiltinModule?: (name: string) => unknown };
const zlib = (globalThis as { process?: BuiltinModules }).process?.getBuiltinModule?.('node:zlib') as
  | { readonly crc32?: (bytes: Uint8Array) => number }
  | undefined;

export const crc32: (bytes: Uint8Array) => number = zlib?.crc32 ?? crc32ByTables;
