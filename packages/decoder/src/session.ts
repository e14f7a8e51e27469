/** Decoding with a key-value cache: any mixture of chunks and single tokens gives what one pass over the whole would give. */
import {
  cachedAttention,
  type Device,
  type HostTensor,
  hostTensor,
  type Program,
  type Result,
  type Tensor,
  update,
  type VariableSet,
  writeRows,
} from '@sconelm/tensor-webgpu';
import type { Parameters } from './block.js';
import { completeBlock, type DecoderConfig } from './config.js';
import { decoderLogits, decoderTrunk } from './decoder.js';
import { DecoderError } from './errors.js';
import { rotationInputs } from './rotary.js';

/** Largest chunk that is run at once. */
const MAX_CHUNK = 64;

type Inputs = { tokens: Tensor; rows: Tensor; length: Tensor } & ({ positions: Tensor } | { cos: Tensor; sin: Tensor });

export interface SessionInput {
  /** Token per position; −1 where `rows` gives the embedding. */
  readonly tokens: Int32Array;
  /** [n, width]: embeddings where the token is −1, zero elsewhere. */
  readonly rows?: Float32Array;
}

/** A token's logits are the same bits whether it comes alone or in a chunk. */
const INVARIANT = { batchInvariant: true };

export class DecodeSession implements Disposable {
  readonly config: DecoderConfig;
  readonly #caches: VariableSet;
  readonly #program: Program<Inputs, { logits: Tensor }>;
  #length = 0;

  constructor(device: Device, config: DecoderConfig, parameters: Parameters) {
    this.config = config;
    const { contextLength, heads, layers } = config;
    const { keyValueHeads, headDim } = completeBlock(config);
    const shape = [1, contextLength, 2 * keyValueHeads * headDim];
    const names = Array.from({ length: layers }, (_, i) => `h.${i}`);
    const caches = device.variables(Object.fromEntries(names.map((name) => [name, { shape }])), 'key-value cache');
    for (const cache of caches) cache.write(new Float32Array(cache.tensor.size));
    this.#caches = caches;
    this.#program = device.compile((inputs: Inputs) => {
      const { tokens, rows, length } = inputs;
      const T = tokens.size;
      const updates: ReturnType<typeof update>[] = [];
      const embedded = parameters('tok.weight').gatherRows(tokens).add(rows);
      const placed = 'positions' in inputs ? embedded.add(parameters('pos.weight').gatherRows(inputs.positions)) : embedded;
      const attend = (packed: Tensor, layer: number) => {
        const cache = caches.get(`h.${layer}`);
        const qkv = packed.reshape([1, T, packed.shape[1]]);
        updates.push(update(cache, writeRows(cache.tensor, qkv, length, { column: heads * headDim })));
        return cachedAttention(qkv, cache.tensor, length, { heads, keyValueHeads }).reshape([T, heads * headDim]);
      };
      const hidden = decoderTrunk(placed, parameters, config, attend, 'cos' in inputs ? inputs : undefined);
      return { outputs: { logits: decoderLogits(hidden, parameters, config) }, updates };
    }, INVARIANT);
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
  async append({ tokens, rows }: SessionInput): Promise<Float32Array> {
    const { contextLength, width, vocabSize } = this.config;
    if (this.#length + tokens.length > contextLength) {
      throw new DecoderError(
        'CONTEXT_FULL',
        `${this.#length} positions and ${tokens.length} new ones do not fit a context of ${contextLength}`,
        'Use a shorter prompt or generate less.',
      );
    }
    const logits = new Float32Array(tokens.length * vocabSize);
    // Chunks are powers of two, so that few programs serve every length.
    for (let start = 0; start < tokens.length; ) {
      const size = Math.min(MAX_CHUNK, 2 ** Math.floor(Math.log2(tokens.length - start)));
      const chunkRows = rows?.slice(start * width, (start + size) * width) ?? new Float32Array(size * width);
      const result: { readonly logits: Result } = this.#program.run({
        tokens: hostTensor(tokens.slice(start, start + size) as Int32Array<ArrayBuffer>),
        rows: hostTensor(chunkRows as Float32Array<ArrayBuffer>, [size, width]),
        ...this.#positions(size),
        length: hostTensor(new Int32Array([this.#length])),
      });
      this.#length += size;
      logits.set((await result.logits.data()) as Float32Array, start * vocabSize);
      start += size;
    }
    return logits;
  }

  /** Where the next `count` positions are, as the model takes them. */
  #positions(count: number): { positions: HostTensor } | { cos: HostTensor; sin: HostTensor } {
    const { rotary } = this.config;
    if (rotary !== undefined) return rotationInputs(rotary, completeBlock(this.config).headDim, this.#length, count);
    return { positions: hostTensor(Int32Array.from({ length: count }, (_, i) => this.#length + i)) };
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    this.#caches[Symbol.dispose]();
  }
}
