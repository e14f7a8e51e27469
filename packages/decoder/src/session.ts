/** Decoding one sequence with a key-value cache: a batch of one. */
import type { Device } from '@sconelm/tensor-webgpu';
import { BatchSession, contextBlocks, type SessionInput } from './batch-session.js';
import type { Parameters } from './block.js';
import type { DecoderConfig } from './config.js';

export class DecodeSession implements Disposable {
  readonly config: DecoderConfig;
  readonly #batch: BatchSession;
  /** All there are, in order. */
  readonly #blocks: Int32Array;
  #length = 0;

  constructor(device: Device, config: DecoderConfig, parameters: Parameters) {
    this.config = config;
    this.#blocks = Int32Array.from({ length: contextBlocks(config) }, (_, i) => i);
    this.#batch = new BatchSession(device, config, parameters, { blocks: this.#blocks.length });
  }

  /** Positions in the cache. */
  get length(): number {
    return this.#length;
  }

  /** Forgets everything. */
  reset(): void {
    this.#length = 0;
  }

  /**
   * Appends positions.
   * @returns the logits of every new position, [n, V]
   * @throws {DecoderError} CONTEXT_FULL
   */
  async append(input: SessionInput): Promise<Float32Array> {
    const [logits] = await this.#batch.step([{ ...input, blocks: this.#blocks, start: this.#length, wanted: 'all' }]);
    this.#length += input.tokens.length;
    return logits;
  }

  [Symbol.dispose](): void {
    this.#batch[Symbol.dispose]();
  }
}
