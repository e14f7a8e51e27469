/** Which server has which of the 16,384 slots: asked of any server of a cluster, again whenever one says that it has changed; or one server for all. */
import type { Address } from './valkey-network.js';
import type { ValkeyNode } from './valkey-node.js';
import { type Reply, ReplyError } from './valkey-reply.js';

export const SLOTS = 16_384;

/** The servers of some slots: the primary, which takes writes, and its replicas. */
export interface Shard {
  readonly primary: ValkeyNode;
  readonly replicas: readonly ValkeyNode[];
}

export class Topology {
  isCluster = false;
  readonly #nodeAt: (address: Address) => ValkeyNode;
  readonly #seeds: readonly ValkeyNode[];
  #shards: readonly Shard[] = [];
  /** The index of its shard for each slot; beyond the last shard where nobody has it. */
  readonly #shardOf = new Uint16Array(SLOTS).fill(2 ** 16 - 1);
  #refreshing: Promise<void> | undefined;

  constructor(seeds: readonly ValkeyNode[], nodeAt: (address: Address) => ValkeyNode) {
    this.#seeds = seeds;
    this.#nodeAt = nodeAt;
  }

  /** @returns undefined if no server has the slot at present */
  shardOf(slot: number): Shard | undefined {
    return this.#shards[this.#shardOf[slot]!];
  }

  /** Whether a server has ever told. */
  get isKnown(): boolean {
    return this.#shards.length > 0;
  }

  get shards(): readonly Shard[] {
    return this.#shards;
  }

  /** Asks again; calls at the same time share one answer. @throws {Error} the last server's failure if none answers */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    const known = new Set([...this.#shards.flatMap(({ primary, replicas }) => [primary, ...replicas]), ...this.#seeds]);
    const inOrder = [...known].sort((a, b) => Number(b.isUp) - Number(a.isUp));
    let failure: unknown;
    for (const node of inOrder) {
      try {
        const reply = await (await node.connect()).command('CLUSTER', 'SLOTS');
        this.#take(reply, node.address.host);
        this.isCluster = true;
        return;
      } catch (error) {
        if (error instanceof ReplyError && /cluster support disabled|unknown command/i.test(error.message)) {
          this.#shards = [{ primary: node, replicas: [] }];
          this.#shardOf.fill(0);
          return;
        }
        failure = error;
      }
    }
    throw failure;
  }

  /** @param host that was asked: servers which do not know their own name leave it out */
  #take(reply: Reply, host: string): void {
    const shards = new Map<string, { index: number; shard: Shard }>();
    const shardOf = new Uint16Array(SLOTS).fill(2 ** 16 - 1);
    for (const [from, to, ...servers] of expectList(reply).map(expectList)) {
      const addresses = servers.map((server): Address => {
        const [name, port] = expectList(server);
        const told = String(name ?? '');
        return { host: told === '' || told === '?' ? host : told, port: Number(port) };
      });
      const key = JSON.stringify(addresses);
      let found = shards.get(key);
      if (found === undefined) {
        const [primary, ...replicas] = addresses.map((address) => this.#nodeAt(address));
        if (primary === undefined) continue;
        found = { index: shards.size, shard: { primary, replicas } };
        shards.set(key, found);
      }
      shardOf.fill(found.index, Number(from), Number(to) + 1);
    }
    if (shards.size === 0) throw new Error('the cluster has no slots');
    this.#shards = [...shards.values()].map(({ shard }) => shard);
    this.#shardOf.set(shardOf);
  }
}

function expectList(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply;
  throw new Error('the cluster tells its slots in a form that is not known');
}

/** CRC-16/XMODEM of a byte more, as clusters compute the slot of a key. https://valkey.io/topics/cluster-spec/ */
const crc16 = (crc: number, byte: number): number => ((crc << 8) & 0xffff) ^ CRC16[((crc >> 8) ^ byte) & 0xff]!;
const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
  return crc;
});

/** The slot of a key: of what stands between its first braces, if anything does. */
export function slotOf(key: string): number {
  const tag = /\{([^}]+)\}/.exec(key)?.[1] ?? key;
  return Buffer.from(tag).reduce(crc16, 0) % SLOTS;
}
