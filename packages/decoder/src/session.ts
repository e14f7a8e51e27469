/** Decoding one sequence with a key-value cache: a batch of one. */
import type { Device } from '@sconelm/tensor-webgpu';
import { BatchSession, type SessionInput } from './batch-session.js';
import type { Parameters } from './block.js';
import type { DecoderConfig } from './config.js';

export class DecodeSession implements Disposable {
  readonly config: DecoderConfig;
  readonly #batch: BatchSession;

  constructor(device: Device, config: DecoderConfig, parameters: Parameters) {
    this.config = config;
    this.#batch = new BatchSession(device, config, parameters, { slots: 1 });
  }

  /** Positions in the cache. */
  get length(): number {
    return this.#batch.lengthOf(0);
  }

  /** Forgets everything. */
  reset(): void {
    this.#batch.truncate(0, 0);
  }

  /**
   * Appends positions.
   * @returns the logits of every new position, [n, V]
   * @throws {DecoderError} CONTEXT_FULL
   */
  async append(input: SessionInput): Promise<Float32Array> {
    const [logits] = await this.#batch.step([{ ...input, slot: 0, wanted: 'all' }]);
    return logits;
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}
