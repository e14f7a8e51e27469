/** Progress on stderr: one rewritten line on a terminal, else a line at most every second. */
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

export class Progress {
  readonly #write: (text: string) => unknown;
  readonly #terminal: boolean;
  readonly #now: () => number;
  #task: { label: string; started: number; first: number } | undefined;
  #shown = -Infinity;
  #isLineOpen = false;

  constructor({
    write = (text) => process.stderr.write(text),
    terminal = process.stderr.isTTY === true,
    now = () => performance.now(),
  }: ProgressOptions = {}) {
    this.#write = write;
    this.#terminal = terminal;
    this.#now = now;
  }

  /** A line of its own. */
  note(text: string): void {
    if (this.#isLineOpen) this.#write('\n');
    this.#isLineOpen = false;
    this.#write(`${text}\n`);
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
    if (!this.#terminal) this.#write(`${line}\n`);
    else {
      this.#write(`\r\u001b[2K${line}`);
      this.#isLineOpen = done < total;
      if (done >= total) this.#write('\n');
    }
  }
}
