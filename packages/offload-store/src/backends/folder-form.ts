/** The names and the manifest's head in a store's folder: the same on a disk and behind a web server. */
export const manifestHead = { kind: 'sconelm-store', version: 2 };
export const MANIFEST_NAME = 'manifest.json';
export const CHECKSUMS_NAME = 'checksums.bin';
export const shardName = (shard: number): string => `rows-${String(shard).padStart(5, '0')}.bin`;
