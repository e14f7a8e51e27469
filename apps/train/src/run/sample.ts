/** What a model writes: text that goes on from a prompt, each token with the length of the f-gram that ends there. */
import { DecodeSession, Sampler } from '@sconelm/decoder';
import { FgramSession, generateTokens, type Model, RowComputer, type RowSource } from '@sconelm/fgram-model';
import type { FgramSet, Tokenizer } from '@sconelm/ngram-miner';
import type { Device } from '@sconelm/tensor-webgpu';

export interface SampleOptions {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Absent for a plain decoder; without rows of a store they are computed by the f-gram model. */
  readonly fgrams?: { readonly set: FgramSet; readonly rows?: RowSource };
  readonly prompt: string;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

export interface Sample {
  readonly tokens: readonly { readonly text: string; readonly length: number }[];
  /** Median of decoding one token. */
  readonly msPerToken: number;
}

/** Tokens of a sample; also what the time per token is measured on. */
const TOKENS = 100;

export async function writeSample(device: Device, options: SampleOptions): Promise<Sample> {
  const { model, tokenizer, fgrams, prompt, seed, signal } = options;
  const { decoder, fgram } = model.config;
  using session = new DecodeSession(device, decoder, model.parameters);
  // Without a store the f-gram model computes the row that is asked for.
  using computer =
    fgrams !== undefined && fgrams.rows === undefined && fgram !== undefined
      ? new RowComputer(device, fgrams.set, model, fgram)
      : undefined;
  const rows = fgrams?.rows ?? (computer === undefined ? undefined : { read: computer.compute.bind(computer) });
  const found = fgrams === undefined || rows === undefined ? undefined : { matcher: fgrams.set.matcher(tokenizer.endOfText), rows };
  const decoding = new FgramSession(session, found);
  const tokens = [tokenizer.endOfText, ...tokenizer.encode(prompt)].slice(0, decoder.contextLength - 1);
  const times: number[] = [];
  const sampler = new Sampler({ temperature: 0.8, topK: 50, seed });
  const generating = generateTokens(decoding, tokens, { sampler, count: TOKENS, ...(signal === undefined ? {} : { signal }) });
  for await (const { token, ms } of generating) {
    tokens.push(token);
    times.push(ms);
  }
  times.sort((a, b) => a - b);
  return {
    tokens: tokens.slice(1).map((token, i) => ({ text: tokenizer.tokenText(token), length: decoding.lengths[i + 1] ?? 1 })),
    msPerToken: times[times.length >> 1] ?? 0,
  };
}
