/**
 * The valkey: backend in a simulated world: servers, network and clock all from one seed. No wrong row ever, every call over by its deadline, every error
 * typed, and all well again once the world is, with the store that was open all the time.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { flawOf, forSeeds, randomFrom, times, VirtualTime } from '../../../tools/faults/index.mjs';
import { SimulatedCluster } from '../../../tools/valkey/simulated-cluster.mjs';
import { SimulatedNetwork } from '../../../tools/valkey/simulated-network.mjs';
import { valkeyServersBackend } from './backends/valkey.js';
import { createStore, openStore, type RowStore, registerBackend } from './index.js';

const [rows, width] = [120, 4];
const all = Uint32Array.from({ length: rows }, (_, id) => id);
const descriptionOf = (generation: number) => ({
  rows,
  width,
  dtype: 'f32' as const,
  blockRows: 50,
  binding: { fgrams: 'set', model: `model ${generation}` },
});
const rowsOf = (ids: ArrayLike<number>, generation: number) =>
  Float32Array.from({ length: ids.length * width }, (_, i) => ids[Math.floor(i / width)]! * 10 + (i % width) + generation / 4);
const generationOf = (store: RowStore) => (store.manifest.binding.model === 'model 1' ? 1 : 2);
const isRight = (into: Float32Array, ids: ArrayLike<number>, generation: number) =>
  Buffer.compare(Buffer.from(into.buffer), Buffer.from(rowsOf(ids, generation).buffer)) === 0;

const [timeoutMs, deadlineMs] = [500, 3000];
/** Of the seed that is played; one is at a time. */
let network: SimulatedNetwork;
registerBackend(
  valkeyServersBackend('simulated', {
    timeoutMs,
    deadlineMs,
    windowBytes: 2000, // several parts for one server
    network: {
      now: () => network.now(),
      after: (ms, work) => network.after(ms, work),
      connect: (address, listener) => network.connect(address, listener),
    },
  }),
);
const URL = 'simulated://10.0.0.1:7000,10.0.0.1:7003,10.0.0.1:7004/rows';

async function publish(generation: number): Promise<void> {
  await using writer = await createStore(URL, descriptionOf(generation));
  await writer.write(all, rowsOf(all, generation));
  await writer.publish();
}

type Random = ReturnType<typeof randomFrom>;
interface World {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly cluster: SimulatedCluster;
}

function newWorld(seed: number, shards: number): World {
  const [time, random] = [new VirtualTime(), randomFrom(seed)];
  const cluster = new SimulatedCluster(time, random, shards);
  network = new SimulatedNetwork(time, random, cluster);
  return { time, random, cluster };
}

/** What servers hold after one publication, and after another in its place; by the number of shards. */
const published = new Map<number, { readonly first: SimulatedCluster['data']; readonly second: SimulatedCluster['data'] }>();
beforeAll(async () => {
  // All time is the clock's: also of hashes, which a thread of its own makes, and of long work that rests now and then.
  vi.spyOn(crypto.subtle, 'digest').mockImplementation(
    async (_, bytes) =>
      Uint8Array.from(
        createHash('sha256')
          .update(bytes as Uint8Array)
          .digest(),
      ).buffer,
  );
  vi.spyOn(performance, 'now').mockImplementation(() => network.now());
  vi.stubGlobal('setTimeout', (work: () => void, ms = 0) => network.after(ms, work));
  for (const shards of [0, 3]) {
    const { time, cluster } = newWorld(1, shards);
    await time.run(() => publish(1));
    const first = cluster.data;
    await time.run(() => publish(2));
    published.set(shards, { first, second: cluster.data });
  }
});
afterAll(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Things that befall servers, at moments of `ms`; their last consequences follow within seconds. */
function befall({ time, random, cluster }: World, count: number, ms: number, more: readonly (() => void)[] = []): void {
  const anyNode = () => cluster.nodes[random.below(cluster.nodes.length)]!;
  const happenings = [
    () => cluster.failOver(random.below(cluster.shards.length)),
    () => void cluster.kill(anyNode(), random.below(2000)),
    () => {
      anyNode().pausedUntil = time.now + random.below(2000);
    },
    () => cluster.moveSlot(random.below(1000)),
    () => {
      cluster.stormUntil = time.now + random.below(400);
    },
    ...more,
  ];
  for (let i = 0; i < count; i += 1) {
    const happen = happenings[random.below(happenings.length)]!;
    time.after(random.next() * ms, happen);
  }
}

/** How work of so many calls ended: its result, or undefined after a typed error. Each call ends by its deadline in any case. */
async function within<T>({ time }: World, calls: number, work: () => Promise<T>): Promise<T | undefined> {
  const started = time.now;
  try {
    return await work();
  } catch (error) {
    expect(flawOf(error)).toBeUndefined();
    return undefined;
  } finally {
    expect(time.now - started).toBeLessThanOrEqual(calls * deadlineMs);
  }
}

async function readSome(
  world: World,
  store: RowStore,
  calls: number,
  seen: { right: number; refused: number; aborted: number },
): Promise<void> {
  const { time, random } = world;
  const ids = Uint32Array.from({ length: 1 + random.below(40) }, () => random.below(rows));
  const into = new Float32Array(ids.length * width).fill(-1);
  const aborting = new AbortController();
  const isAborted = random.below(10) === 0;
  if (isAborted) time.after(random.below(30), () => aborting.abort(new DOMException('enough', 'AbortError')));
  const answer = await within(world, calls, async () => {
    try {
      await store.read(ids, into, { signal: aborting.signal });
      expect(isRight(into, ids, generationOf(store))).toBe(true);
      return true;
    } catch (error) {
      if (!(error instanceof DOMException && aborting.signal.aborted)) throw error;
      seen.aborted += 1;
      return false;
    }
  });
  if (answer === true) seen.right += 1;
  if (answer === undefined) seen.refused += 1;
  if (answer === true) return;
  into.fill(-2);
  await time.sleep(random.below(20));
  expect(into.every((value) => value === -2)).toBe(true); // a read that has ended leaves the buffer alone
}

it('readers: right rows or a typed error within the deadline, whatever servers and network do', async () => {
  const count = times(5000, 200_000);
  const sums = await forSeeds(count, async (seed) => {
    const shards = seed % 8 === 0 ? 0 : 3;
    const world = newWorld(seed, shards);
    const { time, random, cluster } = world;
    const data = published.get(shards)!;
    cluster.takeData(random.below(2) === 0 ? data.first : data.second);
    const oneIn = [0, 100, 20, 4][random.below(4)]!;
    const calm = SimulatedNetwork.CALM;
    network.temper = { answers: oneIn, requests: oneIn * random.below(3), connecting: oneIn, isTcp: random.below(4) === 0 };
    const seen = { right: 0, refused: 0, aborted: 0, opened: 0, healed: 0 };
    return time.run(async () => {
      const replace = () => cluster.takeData(data.second);
      befall(world, random.below(5), 1500, shards === 0 ? [replace] : []);
      const isChecked = random.below(2) === 0; // blocks, then rows
      const store = await within(world, 1, () => openStore(URL, { check: isChecked ? 'first-touch' : 'never' }));
      if (store === undefined) return { ...seen, refused: 1 };
      seen.opened = 1;
      for (let i = 1 + random.below(2); i > 0; i -= 1) {
        await Promise.all(Array.from({ length: 1 + random.below(2) }, () => readSome(world, store, isChecked ? 2 : 1, seen)));
        await time.sleep(random.below(600));
      }
      network.temper = calm;
      await time.sleep(8000);
      const into = new Float32Array(rows * width);
      await store.read(all, into);
      expect(isRight(into, all, generationOf(store))).toBe(true);
      seen.healed = 1;
      await store.close();
      return seen;
    });
  });
  expect(sums.right).toBeGreaterThan(count);
  expect(sums.refused).toBeGreaterThan(count / 10);
  expect(sums.aborted).toBeGreaterThan(count / 20);
  expect(sums.healed).toBe(sums.opened);
});

/** Fills and publishes what is missing, and begins again after every failure, as whoever runs a command again does. */
async function publishAtLast({ time }: World, generation: number): Promise<number> {
  for (let failures = 0; ; failures += 1) {
    try {
      await using writer = await createStore(URL, descriptionOf(generation));
      for (let first = 0; first < rows; first += 30) {
        const ids = all.subarray(first, first + 30).filter((id) => !writer.has(id));
        if (ids.length > 0) await writer.write(ids, rowsOf(ids, generation));
      }
      await writer.publish();
      return failures;
    } catch (error) {
      expect(flawOf(error)).toBeUndefined();
      if (failures === 50) throw error;
      await time.sleep(200);
    }
  }
}

it('writers: readers have rows of the old store or of the new one, whatever servers and network do', async () => {
  const count = times(60, 5000);
  const sums = await forSeeds(count, async (seed) => {
    const world = newWorld(seed, seed % 8 === 0 ? 0 : 3);
    const { time, random, cluster } = world;
    cluster.takeData(published.get(cluster.isCluster ? 3 : 0)!.first);
    const oneIn = [0, 30, 10][random.below(3)]!;
    network.temper = { answers: oneIn, requests: oneIn, connecting: oneIn, isTcp: true };
    const seen = { failures: 0, read: 0, refused: 0, old: 0, lost: 0 };
    return time.run(async () => {
      befall(world, random.below(6), 3000);
      time.after(15_000, () => {
        network.temper = SimulatedNetwork.CALM;
      });
      let isOver = false;
      const writing = publishAtLast(world, 2).finally(() => {
        isOver = true;
      });
      writing.catch(() => {}); // it is awaited below
      while (!isOver) {
        const isWhole = await within(world, 4, async () => {
          await using store = await openStore(URL);
          const into = new Float32Array(rows * width);
          await store.read(all, into);
          expect(isRight(into, all, generationOf(store))).toBe(true);
          return true;
        });
        if (isWhole === true) seen.read += 1;
        else seen.refused += 1;
        await time.sleep(300);
      }
      seen.failures = await writing;
      network.temper = SimulatedNetwork.CALM;
      await time.sleep(8000);
      await using store = await openStore(URL);
      seen.old = 2 - generationOf(store);
      await store.verify().catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'STORE_CORRUPT', message: expect.stringContaining('is not there') });
        seen.lost = 1;
      });
      return seen;
    });
  });
  expect(sums.failures).toBeGreaterThan(count / 20);
  expect(sums.read).toBeGreaterThan(count);
  // A failover may lose what was written a moment before it: what says that a store is published, or rows, which are then missing and never wrong.
  expect(sums.old + sums.lost).toBeLessThan(count / 10);
});
