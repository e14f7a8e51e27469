/**
 * Progress on stderr: one rewritten line on a terminal, else a line at most every second. While nothing is reported, a pulse says that the work
 * goes on.
 */
import process from 'node:process';

export interface ProgressState {
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail?: string;
}

export interface ProgressOptions {
  readonly write?: (text: string) => unknown;
  readonly terminal?: boolean;
  /** Milliseconds. */
  readonly now?: () => number;
}

export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** Milliseconds of silence before a sign of life. */
const SILENCE = 1300;

export class Progress implements Disposable {
  readonly #write: (text: string) => unknown;
  readonly #terminal: boolean;
  readonly #now: () => number;
  #task: { label: string; started: number; first: number } | undefined;
  #shown = -Infinity;
  /** The line on a terminal that the next one overwrites. */
  #openLine: string | undefined;
  readonly #pulse: ReturnType<typeof setInterval>;
  #reported: number;
  #written: number;

  constructor({
    write = (text) => process.stderr.write(text),
    terminal = process.stderr.isTTY === true,
    now = () => performance.now(),
  }: ProgressOptions = {}) {
    this.#write = write;
    this.#terminal = terminal;
    this.#now = now;
    this.#reported = this.#written = now();
    this.#pulse = setInterval(() => this.beat(), SILENCE / 4);
    this.#pulse.unref();
  }

  /** A line of its own. */
  note(text: string): void {
    if (this.#openLine !== undefined) this.#write('\n');
    this.#openLine = undefined;
    this.#report(`${text}\n`);
  }

  /** Says how long nothing was reported, if that is long. */
  beat(): void {
    const now = this.#now();
    if (now - this.#written < SILENCE) return;
    this.#written = now;
    const silent = `… ${formatDuration((now - this.#reported) / 1000)}`;
    if (!this.#terminal) {
      this.#write(`  ${silent}\n`);
      return;
    }
    this.#write(`\r\u001b[2K${this.#openLine ?? ' '} ${silent}`);
    this.#openLine ??= ' ';
  }

  /** The state of the task `label`: rate and time left are counted from its first report. */
  update(label: string, { done, total, unit, detail }: ProgressState): void {
    const now = this.#now();
    if (this.#task?.label !== label) {
      this.#task = { label, started: now, first: done };
      this.#shown = -Infinity;
    }
    const pause = this.#terminal ? 100 : 1000;
    if (now - this.#shown < pause && done < total) return;
    this.#shown = now;
    const seconds = (now - this.#task.started) / 1000;
    const rate = seconds > 0 ? (done - this.#task.first) / seconds : 0;
    const speed = rate > 0 ? `, ${Math.round(rate).toLocaleString('en')} ${unit}/s, ${formatDuration((total - done) / rate)} left` : '';
    const line = `  ${label}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${unit}${detail === undefined ? '' : `, ${detail}`}${speed}`;
    if (!this.#terminal) this.#report(`${line}\n`);
    else {
      this.#report(`\r\u001b[2K${line}${done < total ? '' : '\n'}`);
      this.#openLine = done < total ? line : undefined;
    }
  }

  #report(text: string): void {
    this.#reported = this.#written = this.#now();
    this.#write(text);
  }

  /** Ends the pulse. */
  [Symbol.dispose](): void {
    clearInterval(this.#pulse);
  }
}
