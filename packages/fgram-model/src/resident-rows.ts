/**
 * Tables in host memory of which a device holds the rows that are at work. Rows that a step needs are brought before it, into the places of those that
 * were not used for the longest time, which travel back; neither waits for the step before, unless a row is wanted that is still on its way.
 */
import { concat, type Device, hostTensor, type Program, type Tensor, update, type Variable } from '@sconelm/tensor-webgpu';
import type { HostTable } from './host-table.js';

/** A table and its part on the device, [places, width]. */
export interface ResidentTable {
  readonly host: HostTable;
  readonly resident: Variable;
}

/** Rows that travel are padded to a multiple of this, so that few shapes occur. */
const BUCKET = 128;

type Inputs = { readonly slots: Tensor; readonly rows: Tensor; readonly kept: Tensor };

export class ResidentRows implements Disposable {
  readonly #tables: readonly ResidentTable[];
  readonly #places: number;
  readonly #width: number;
  readonly #exchange: Program<Inputs, { left: Tensor }>;
  /** Where each row is, the one that was not used for the longest time first. */
  readonly #slots = new Map<number, number>();
  /** Rows that have left the device and are not in host memory yet. */
  readonly #arriving = new Map<number, Promise<void>>();

  /** @param tables of one shape, with as many places each */
  constructor(device: Device, tables: readonly ResidentTable[]) {
    this.#tables = tables;
    const [places, width] = tables[0].resident.shape;
    [this.#places, this.#width] = [places, width];
    this.#exchange = device.compile(({ slots, rows, kept }: Inputs) => {
      const arriving = (i: number) => rows.slice([0, i * width], [rows.shape[0], width]).scatterRows(slots, places);
      return {
        outputs: {
          left: concat(
            tables.map(({ resident }) => resident.tensor.gatherRows(slots)),
            1,
          ),
        },
        updates: tables.map(({ resident }, i) => update(resident, kept.greater(0).where(resident.tensor, arriving(i)))),
      };
    });
  }

  /** Where row `id` is on the device; −1 where it is not. */
  slotOf(id: number): number {
    return this.#slots.get(id) ?? -1;
  }

  /** Brings rows to the device, behind what was submitted so far. @param ids each once, at most as many as there are places */
  async stage(ids: Iterable<number>): Promise<void> {
    const missing: number[] = [];
    for (const id of ids) {
      const slot = this.#slots.get(id);
      if (slot === undefined) {
        missing.push(id);
        continue;
      }
      this.#slots.delete(id);
      this.#slots.set(id, slot);
    }
    if (missing.length === 0) return;
    await Promise.all(missing.map((id) => this.#arriving.get(id)));
    const count = Math.ceil(missing.length / BUCKET) * BUCKET;
    const slots = new Int32Array(count).fill(-1);
    const kept = new Float32Array(this.#places).fill(1);
    const leaving: { readonly id: number; readonly at: number }[] = [];
    for (const [at, id] of missing.entries()) {
      let slot = this.#slots.size;
      if (slot === this.#places) {
        const [oldest] = this.#slots;
        slot = oldest[1];
        this.#slots.delete(oldest[0]);
        leaving.push({ id: oldest[0], at });
      }
      this.#slots.set(id, slot);
      slots[at] = slot;
      kept[slot] = 0;
    }
    const width = this.#width;
    const across = this.#tables.length * width;
    const rows = new Float32Array(count * across);
    for (const [t, { host }] of this.#tables.entries())
      for (const [at, id] of missing.entries()) rows.set(host.row(id), at * across + t * width);
    const call = { slots: hostTensor(slots), rows: hostTensor(rows, [count, across]), kept: hostTensor(kept, [this.#places, 1]) };
    await this.#exchange.prepare(call);
    const { left } = this.#exchange.run(call);
    if (leaving.length === 0) return;
    const arrived = left.data().then((values) => {
      for (const { id, at } of leaving) {
        for (const [t, { host }] of this.#tables.entries())
          host.row(id).set((values as Float32Array).subarray(at * across + t * width, at * across + (t + 1) * width));
        this.#arriving.delete(id);
      }
    });
    arrived.catch(() => {}); // told to whoever waits for these rows
    for (const { id } of leaving) this.#arriving.set(id, arrived);
  }

  /** Makes host memory hold what the device does. */
  async flush(): Promise<void> {
    await Promise.all(this.#arriving.values());
    const width = this.#width;
    for (const { host, resident } of this.#tables) {
      const values = (await resident.read()) as Float32Array;
      for (const [id, slot] of this.#slots) host.row(id).set(values.subarray(slot * width, (slot + 1) * width));
    }
  }

  [Symbol.dispose](): void {
    this.#exchange[Symbol.dispose]();
  }
}
