/** Client packages for Valkey that read many keys of a cluster, each as it does that itself. */
import { createRequire } from 'node:module';

/** Untyped: they are installed when a bench runs. @type {(name: string) => any} */
const load = createRequire(import.meta.url);

/**
 * @typedef {object} Client
 * @property {string} name
 * @property {(ports: readonly number[]) => Promise<Opened>} open
 */
/**
 * @typedef {object} Opened
 * @property {(key: string, value: Uint8Array) => Promise<unknown>} set
 * @property {(keys: readonly string[]) => Promise<readonly (Uint8Array | null)[]>} get
 * @property {() => void} close
 */

/** ioredis has no multi-key command over several slots: it sends a GET for each key. @param {string} name @param {boolean} enableAutoPipelining @returns {Client} */
const ioredis = (name, enableAutoPipelining) => ({
  name,
  async open(ports) {
    const { Cluster } = load('ioredis');
    const cluster = new Cluster(
      ports.map((port) => ({ host: '127.0.0.1', port })),
      { enableAutoPipelining },
    );
    await new Promise((resolve, reject) => {
      cluster.once('ready', resolve);
      cluster.once('error', reject);
    });
    return {
      set: (key, value) => cluster.set(key, Buffer.from(value)),
      get: (keys) => Promise.all(keys.map((key) => cluster.getBuffer(key))),
      close: () => cluster.disconnect(),
    };
  },
});

/** @type {Client} */
const glide = {
  name: 'glide',
  async open(ports) {
    const { Decoder, GlideClusterClient } = load('@valkey/valkey-glide');
    const addresses = ports.map((port) => ({ host: '127.0.0.1', port }));
    const client = await GlideClusterClient.createClient({ addresses, requestTimeout: 10_000 });
    return {
      set: (key, value) => client.set(key, Buffer.from(value)),
      get: (keys) => client.mget([...keys], { decoder: Decoder.Bytes }),
      close: () => client.close(),
    };
  },
};

export const clients = [ioredis('ioredis', false), ioredis('ioredis-autopipelining', true), glide];
