/** The parent's side of a bench: starts an engine's process and asks it. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';

export class EngineProcess {
  /** @param {string} name @param {readonly string[]} command */
  constructor(name, command) {
    this.name = name;
    this.child = spawn(command[0], command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env: process.env });
    this.trouble = '';
    this.child.stderr.on('data', (data) => {
      this.trouble = (this.trouble + data).slice(-2000);
    });
    /** @type {((answer: any) => void)[]} */
    this.waiting = [];
    /** @type {any[]} */
    this.early = [];
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      // Engines print what they like; answers carry a mark.
      if (line.startsWith('\u0001')) this.deliver(JSON.parse(line.slice(1)));
    });
    const ended = () => {
      this.ended = true;
      this.deliver({ error: `its process ended${this.trouble === '' ? '' : `: ${this.trouble.trim().split('\n').at(-1)}`}` });
    };
    this.child.on('error', ended);
    this.child.on('exit', ended);
  }

  deliver(/** @type {any} */ answer) {
    const next = this.waiting.shift();
    if (next === undefined) this.early.push(answer);
    else next(answer);
  }

  /** @returns {Promise<any>} the next answer */
  answer() {
    const early = this.early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.ended) return Promise.resolve({ error: 'its process ended' });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** @param {object} question */
  ask(question) {
    if (!this.ended) this.child.stdin.write(`${JSON.stringify(question)}\n`);
    return this.answer();
  }

  close() {
    this.child.stdin.end();
    this.child.kill();
  }
}
