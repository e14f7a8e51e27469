/**
 * Which form of a kernel is the fastest on an adapter, by class of sizes. Kept in the user's cache folder in Node, in memory in browsers;
 * `SCONE_TUNE` = off: not used; on (the default): used, and completed when programs are prepared; force: measured anew.
 */
import { TensorError } from '../errors.js';
import { changeTable, readTable } from './tuning-file.js';

export type TuneMode = 'off' | 'on' | 'force';

/** Raised when forms change, so that old measurements are forgotten. */
const VERSION = 1;

/** @throws {TensorError} TUNE_MODE */
export function tuneMode(): TuneMode {
  const text = typeof process === 'undefined' ? undefined : process.env?.SCONE_TUNE;
  if (text === undefined || text === '' || text === 'on') return 'on';
  if (text === 'off' || text === 'force') return text;
  throw new TensorError('TUNE_MODE', `SCONE_TUNE is '${text}'`, { remedy: 'Set it to off, on or force.' });
}

export class Tuning {
  readonly mode: TuneMode;
  readonly #adapter: string;
  readonly #forms = new Map<string, string>();
  /** Choices that were measured by this process. */
  readonly #own = new Set<string>();
  /** Choices of another process, which are kept whatever is measured. */
  readonly #pinned = new Map<string, string>();
  readonly #used = new Map<string, string>();
  #loaded: Promise<void> | undefined;

  constructor(adapter: string, mode: TuneMode) {
    this.mode = mode;
    this.#adapter = `v${VERSION} ${adapter}`;
  }

  /** Reads the cache, once. */
  load(): Promise<void> {
    this.#loaded ??= this.#read();
    return this.#loaded;
  }

  async #read(): Promise<void> {
    const known = this.mode === 'on' ? ((await readTable())[this.#adapter] ?? {}) : {};
    for (const [key, form] of Object.entries(known)) if (!this.#forms.has(key)) this.#forms.set(key, form);
  }

  /** The form of a kernel: pinned, measured, or the first that is offered. @throws {TensorError} TUNE_FORM: the pinned one is not offered */
  choose(key: string, forms: readonly string[]): string {
    const pinned = this.#pinned.get(key);
    if (pinned !== undefined && !forms.includes(pinned)) {
      const what = `'${key}' is to be computed in the form '${pinned}'; there are ${forms.join(', ')}`;
      throw new TensorError('TUNE_FORM', what, {
        remedy: 'Use the version of this package and the adapter that the form was chosen with.',
      });
    }
    const known = pinned ?? (this.mode === 'off' ? undefined : this.#forms.get(key));
    if (known === undefined || !forms.includes(known)) return forms[0];
    this.#used.set(key, known);
    return known;
  }

  /** The forms that are pinned, and the measured ones that programs were compiled with: pinned in another process on this adapter, they give the same bits. */
  get used(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#pinned, ...this.#used].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Keeps these forms, whatever is measured. Programs that are compiled already stay as they are. */
  pin(forms: Readonly<Record<string, string>>): void {
    for (const [key, form] of Object.entries(forms)) this.#pinned.set(key, form);
  }

  /** Whether `key` is to be measured. */
  isOpen(key: string): boolean {
    return this.mode !== 'off' && !this.#pinned.has(key) && !this.#own.has(key) && (this.mode === 'force' || !this.#forms.has(key));
  }

  set(key: string, form: string): void {
    this.#forms.set(key, form);
    this.#own.add(key);
  }

  /** Adds what this process measured to the cache. A cache that cannot be written is no failure. */
  async save(): Promise<void> {
    if (this.#own.size === 0) return;
    const own = Object.fromEntries([...this.#own].map((key) => [key, this.#forms.get(key) ?? '']));
    try {
      await changeTable((table) => ({ ...table, [this.#adapter]: { ...table[this.#adapter], ...own } }));
    } catch (cause) {
      console.warn(`measurements of kernels are not kept: ${cause instanceof Error ? cause.message : cause}`);
    }
  }
}
