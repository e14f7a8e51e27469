/** The optimisers of a run: AdamW of the dense parameters, Adam of residual rows where there are any. They outlive the programs that step them. */
import { HostTable, type Model, RowAdam } from '@sconelm/fgram-model';
import { AdamW, type Device, type Variable } from '@sconelm/tensor-webgpu';
import type { TrainingConfig } from '../run/training-config.js';
import { HostRows } from './host-rows.js';

export class Optimizers implements Disposable {
  /** For checkpoints. */
  readonly moments: readonly (Variable | HostTable)[];
  readonly dense: AdamW;
  readonly rows: RowAdam | undefined;
  /** The residual rows that programs read: all, or those of the last batches. */
  readonly table: Variable | undefined;
  /** Where residual rows are in host memory. */
  readonly host: HostRows | undefined;

  constructor(device: Device, { config, dense, residual }: Model, training: TrainingConfig) {
    this.dense = new AdamW(device, dense, {
      group: (name, shape) => ({
        weightDecay: isDecayed(name, shape.length) ? training.weightDecay : 0,
        rateFactor: name.startsWith('fgram.') ? training.fgramRate : training.freezeMain ? 0 : 1,
      }),
    });
    const rateFactor = training.tableRate;
    const onDevice = [...this.dense.moments];
    if (residual instanceof HostTable) {
      this.host = new HostRows(device, residual, { positions: training.batch * config.decoder.contextLength, rateFactor });
      this.table = this.host.resident;
      this.rows = this.host.optimizer;
    } else if (residual !== undefined) {
      this.table = residual;
      this.rows = new RowAdam(device, residual, { rateFactor });
      onDevice.push(...this.rows.moments);
    }
    for (const moment of onDevice) moment.write(new Float32Array(moment.tensor.size));
    this.moments = [...onDevice, ...(this.host?.moments ?? [])];
  }

  [Symbol.dispose](): void {
    for (const owned of [this.dense, this.host ?? this.rows]) owned?.[Symbol.dispose]();
  }
}

/** Matrices decay; the token tables, positions, norms, biases and the gain do not. */
function isDecayed(name: string, rank: number): boolean {
  return rank === 2 && !/(^|\.)(tok|pos)\.weight$/.test(name);
}
