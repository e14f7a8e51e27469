/** metrics.jsonl: one line per report of a training run, readable while it grows. Lines beyond the checkpoint that a run resumes from are dropped. */
import { existsSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { publishBytes, withArtifactErrors } from '@sconelm/artifact';

export interface Metrics {
  readonly step: number;
  /** Training tokens so far. */
  readonly tokens: number;
  /** Mean over the steps since the last line, nats per token. */
  readonly loss: number;
  /** Learning rate of the step. */
  readonly rate: number;
  /** Forest nodes computed so far. */
  readonly nodes: number;
  /** Of training, interruptions apart. */
  readonly seconds: number;
  /** Norm of the last step's gradients before clipping. */
  readonly gradientNorm: number;
  /** Of training so far, as the models' sizes say. */
  readonly flops: number;
  /** Steps that were left out so far. */
  readonly skipped: number;
  /** Nats per token; not in every line. */
  readonly heldoutLoss?: number;
  /** The f-gram model's gain; absent for a plain decoder. */
  readonly gain?: number;
  /** Share of the last step's positions where an f-gram ends; absent for a plain decoder. */
  readonly hitRate?: number;
  /** Standard deviation of the token table; not in every line. */
  readonly tokenDeviation?: number;
}

function isMetrics(value: unknown): value is Metrics {
  return (
    typeof value === 'object' && value !== null && ['step', 'loss', 'tokens'].every((key) => typeof Reflect.get(value, key) === 'number')
  );
}

/** The lines of a file; a torn last one is left out. @throws {ArtifactError} missing */
export async function readMetrics(file: string): Promise<Metrics[]> {
  const text = await withArtifactErrors(file, () => readFile(file, 'utf8'));
  const entries: Metrics[] = [];
  for (const line of text.split('\n')) {
    try {
      const value: unknown = JSON.parse(line);
      if (isMetrics(value)) entries.push(value);
    } catch {
      break;
    }
  }
  return entries;
}

export class MetricsLog {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #entries: Metrics[];

  private constructor(file: string, handle: FileHandle, entries: Metrics[]) {
    this.#file = file;
    this.#handle = handle;
    this.#entries = entries;
  }

  /** @param step the last step whose line stays */
  static async open(file: string, step: number): Promise<MetricsLog> {
    const before = existsSync(file) ? await readMetrics(file) : [];
    const kept = before.filter((entry) => entry.step <= step);
    await publishBytes(file, kept.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    return new MetricsLog(file, await withArtifactErrors(file, () => open(file, 'a')), kept);
  }

  get entries(): readonly Metrics[] {
    return this.#entries;
  }

  async append(entry: Metrics): Promise<void> {
    this.#entries.push(entry);
    await withArtifactErrors(this.#file, () => this.#handle.appendFile(`${JSON.stringify(entry)}\n`));
  }

  /** On disk before the checkpoint that counts on it. */
  async sync(): Promise<void> {
    await withArtifactErrors(this.#file, () => this.#handle.datasync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await withArtifactErrors(this.#file, () => this.#handle.close());
  }
}
