/** Residual rows and their optimiser's state in host memory: on the device are the rows of the last batches only. */
import { HostTable, RESIDUAL, ResidentRows, RowAdam } from '@sconelm/fgram-model';
import type { Device, Variable, VariableSet } from '@sconelm/tensor-webgpu';

/** Rows on the device, in batches that touch as many as they can. */
const BATCHES = 4;

export class HostRows implements Disposable {
  /** R's part on the device, [places, d]. */
  readonly resident: Variable;
  readonly optimizer: RowAdam;
  /** In host memory, for checkpoints. */
  readonly moments: readonly HostTable[];
  readonly rows: ResidentRows;
  readonly #variables: VariableSet;

  /** @param positions of a batch: as many rows can it touch */
  constructor(device: Device, table: HostTable, { positions, rateFactor }: { readonly positions: number; readonly rateFactor: number }) {
    const [, width] = table.shape;
    this.#variables = device.variables({ [RESIDUAL]: { shape: [BATCHES * positions, width] } }, 'residual rows');
    this.resident = this.#variables.get(RESIDUAL);
    this.optimizer = new RowAdam(device, this.resident, { rateFactor });
    const moments = [...this.optimizer.moments];
    for (const variable of [this.resident, ...moments]) variable.write(new Float32Array(variable.tensor.size));
    this.moments = moments.map(({ name }) => new HostTable(name, table.shape));
    this.rows = new ResidentRows(device, [
      { host: table, resident: this.resident },
      ...moments.map((resident, i) => ({ host: this.moments[i], resident })),
    ]);
  }

  [Symbol.dispose](): void {
    for (const owned of [this.rows, this.optimizer, this.#variables]) owned[Symbol.dispose]();
  }
}
