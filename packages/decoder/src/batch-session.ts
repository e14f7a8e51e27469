/**
 * Decoding many sequences side by side, their keys and values in blocks of one cache: one program takes one token of each, or a piece of a prompt.
 * Any mixture of companies, pieces and single tokens gives what one pass over each sequence alone would give. [Kwon et al., 2023, paged attention]
 */
import {
  cachedAttention,
  type Device,
  decodeRows,
  type HostTensor,
  hostTensor,
  type PackedRowDtype,
  type Program,
  packedRowWords,
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

/** Most positions that are run at once. */
const MAX_ROWS = 64;

/** Blocks in a table, at most. */
const MAX_TABLE = 256;

/** A row's bits are the same in every company and every cut. */
const INVARIANT = { batchInvariant: true };

export interface SessionInput {
  /** Token per position; −1 where `rows` gives the embedding. */
  readonly tokens: Int32Array;
  /** [n, width], embeddings where the token is −1, zero elsewhere; [n, words] in a session whose rows are packed. */
  readonly rows?: Float32Array | Uint32Array;
}

export interface BatchSessionOptions {
  /** Of the cache, of `blockPositions(config)` each; `contextBlocks(config)` hold one sequence whatever its length. */
  readonly blocks: number;
  /** Rows are given as a store keeps them in this dtype, in 32-bit words, and decoded on the device; f32 by default. */
  readonly packedRows?: PackedRowDtype | undefined;
}

export interface BatchInput extends SessionInput {
  /** Blocks of the cache in which the sequence's positions are, in order, the new ones' too. Sequences may share those that none of them writes. */
  readonly blocks: ArrayLike<number>;
  /** Positions that are there already. */
  readonly start: number;
  /** Which positions' logits are wanted. */
  readonly wanted: 'none' | 'last' | 'all';
}

type Inputs = { tokens: Tensor; rows: Tensor; places: Tensor; wanted: Tensor } & ({ positions: Tensor } | { cos: Tensor; sin: Tensor });

/** A piece of a sequence's input. */
interface Piece {
  /** Of the step's inputs. */
  readonly index: number;
  readonly start: number;
}

/** Positions in a block of the cache: few, unless a sequence's table of blocks would become long. */
export function blockPositions({ contextLength }: DecoderConfig): number {
  return Math.max(16, 2 ** Math.ceil(Math.log2(contextLength / MAX_TABLE)));
}

/** Blocks that a whole context takes. */
export function contextBlocks(config: DecoderConfig): number {
  return Math.ceil(config.contextLength / blockPositions(config));
}

const powerBelow = (count: number) => 2 ** Math.floor(Math.log2(count));

export class BatchSession implements Disposable {
  readonly config: DecoderConfig;
  readonly #packedRows: PackedRowDtype | undefined;
  readonly #caches: VariableSet;
  readonly #program: Program<Inputs, { logits: Tensor }>;

  constructor(device: Device, config: DecoderConfig, parameters: Parameters, { blocks, packedRows }: BatchSessionOptions) {
    this.config = config;
    this.#packedRows = packedRows;
    const { heads, layers } = config;
    const { keyValueHeads, headDim } = completeBlock(config);
    const shape = [blocks, blockPositions(config), 2 * keyValueHeads * headDim];
    const names = Array.from({ length: layers }, (_, i) => `h.${i}`);
    const caches = device.variables(Object.fromEntries(names.map((name) => [name, { shape }])), 'key-value cache');
    for (const cache of caches) cache.write(new Float32Array(cache.tensor.size));
    this.#caches = caches;
    this.#program = device.compile((inputs: Inputs) => {
      const { tokens, rows, places, wanted } = inputs;
      const [N, B] = [tokens.size, places.shape[0]];
      const updates: ReturnType<typeof update>[] = [];
      const token = parameters('tok.weight').gatherRows(tokens);
      // Rows come last, so that both look-ups are one dispatch: with a row, the token's embedding is zero, and the sum the same.
      const placed = ('positions' in inputs ? token.add(parameters('pos.weight').gatherRows(inputs.positions)) : token).add(
        packedRows === undefined ? rows : decodeRows(rows, config.width, packedRows),
      );
      const attend = (packed: Tensor, layer: number) => {
        const cache = caches.get(`h.${layer}`);
        const qkv = packed.reshape([B, N / B, packed.shape[1]]);
        updates.push(update(cache, writeRows(cache.tensor, qkv, places, { column: heads * headDim })));
        return cachedAttention(qkv, cache.tensor, places, { heads, keyValueHeads }).reshape([N, heads * headDim]);
      };
      const hidden = decoderTrunk(placed, parameters, config, attend, 'cos' in inputs ? inputs : undefined);
      const chosen = wanted.size === N ? hidden : hidden.gatherRows(wanted);
      return { outputs: { logits: decoderLogits(chosen, parameters, config) }, updates };
    }, INVARIANT);
  }

  /**
   * Appends to sequences.
   * @returns the logits wanted of each input, [n, V]
   * @throws {DecoderError} CONTEXT_FULL, before anything is appended
   */
  async step(inputs: readonly BatchInput[]): Promise<Float32Array[]> {
    for (const input of inputs) this.#expectRoom(input);
    const { vocabSize } = this.config;
    const logits = inputs.map(({ tokens, wanted }) => new Float32Array((wanted === 'all' ? tokens.length : 1) * vocabSize));
    const done = inputs.map(() => 0);
    for (;;) {
      // Pieces and companies are powers of two, so that few programs serve every length and every number of sequences.
      const bySize = new Map<number, Piece[]>();
      for (const [index, { tokens }] of inputs.entries()) {
        const left = tokens.length - done[index];
        if (left === 0) continue;
        const size = Math.min(MAX_ROWS, powerBelow(left));
        bySize.set(size, [...(bySize.get(size) ?? []), { index, start: done[index] }]);
        done[index] += size;
      }
      if (bySize.size === 0) break;
      for (const [size, pieces] of bySize) {
        for (let at = 0; at < pieces.length; ) {
          const count = Math.min(MAX_ROWS / size, powerBelow(pieces.length - at));
          await this.#run(inputs, pieces.slice(at, at + count), size, logits);
          at += count;
        }
      }
    }
    return logits.map((all, i) => (inputs[i].wanted === 'none' ? all.subarray(0, 0) : all));
  }

  /** Runs pieces of one size side by side. */
  async #run(inputs: readonly BatchInput[], pieces: readonly Piece[], size: number, logits: readonly Float32Array[]): Promise<void> {
    const { width, vocabSize } = this.config;
    const N = pieces.length * size;
    const tokens = new Int32Array(N);
    const stride = this.#packedRows === undefined ? width : packedRowWords(this.#packedRows, width);
    const rows = this.#packedRows === undefined ? new Float32Array(N * stride) : new Uint32Array(N * stride);
    const columns = 1 + contextBlocks(this.config);
    const places = new Int32Array(columns * pieces.length);
    const starts = pieces.map(({ index, start }) => inputs[index].start + start);
    pieces.forEach(({ index, start }, i) => {
      const input = inputs[index];
      tokens.set(input.tokens.subarray(start, start + size), i * size);
      if (input.rows !== undefined) rows.set(input.rows.subarray(start * stride, (start + size) * stride), i * size * stride);
      places[i * columns] = starts[i];
      places.set(input.blocks, i * columns + 1);
    });
    const all = pieces.some(({ index }) => inputs[index].wanted === 'all');
    const wanted = all ? Int32Array.from({ length: N }, (_, i) => i) : Int32Array.from(pieces, (_, i) => (i + 1) * size - 1);
    const result: { readonly logits: Result } = this.#program.run({
      tokens: hostTensor(tokens),
      rows: hostTensor(rows, [N, stride]),
      places: hostTensor(places, [pieces.length, columns]),
      wanted: hostTensor(wanted),
      ...this.#positions(starts, size),
    });
    const isLast = ({ index, start }: Piece) => start + size === inputs[index].tokens.length;
    if (!pieces.some((piece) => inputs[piece.index].wanted === 'all' || (inputs[piece.index].wanted === 'last' && isLast(piece)))) return;
    const found = (await result.logits.data()) as Float32Array;
    pieces.forEach((piece, i) => {
      const { wanted } = inputs[piece.index];
      const into = logits[piece.index];
      const last = all ? (i + 1) * size - 1 : i;
      if (wanted === 'all') into.set(found.subarray(i * size * vocabSize, (i + 1) * size * vocabSize), piece.start * vocabSize);
      else if (wanted === 'last' && isLast(piece)) into.set(found.subarray(last * vocabSize, (last + 1) * vocabSize));
    });
  }

  #expectRoom({ start, tokens, blocks }: BatchInput): void {
    const { contextLength } = this.config;
    if (start + tokens.length > contextLength)
      throw new DecoderError(
        'CONTEXT_FULL',
        `${start} positions and ${tokens.length} new ones do not fit a context of ${contextLength}`,
        'Use a shorter prompt or generate less.',
      );
    if (start + tokens.length > blocks.length * blockPositions(this.config))
      throw new Error(`unreachable: ${blocks.length} blocks for ${start} positions and ${tokens.length} new ones`);
  }

  /** Where `count` positions from each of `starts` on are, as the model takes them. */
  #positions(starts: readonly number[], count: number): { positions: HostTensor } | { cos: HostTensor; sin: HostTensor } {
    const positions = Int32Array.from({ length: starts.length * count }, (_, i) => starts[Math.floor(i / count)] + (i % count));
    const { rotary } = this.config;
    return rotary === undefined
      ? { positions: hostTensor(positions) }
      : rotationInputs(rotary, completeBlock(this.config).headDim, positions);
  }

  [Symbol.dispose](): void {
    this.#program[Symbol.dispose]();
    this.#caches[Symbol.dispose]();
  }
}
