/**
 * One connection to one Valkey server: many commands under way at once, answered in order, each within its time. It is used until something goes
 * wrong; then everything under way fails, and the next one is another connection.
 */
import { CommandBuffer } from './valkey-commands.js';
import type { Address, Network, Stream, Timer } from './valkey-network.js';
import { ProtocolError, type Reply, ReplyDecoder, ReplyError } from './valkey-reply.js';

export interface ConnectionOptions {
  readonly network: Network;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds that a part of the pipeline may take when it is its turn, and that connecting may take. */
  readonly timeoutMs: number;
}

/** Commands that are sent together. */
export interface Part {
  readonly commands: Buffer;
  readonly count: number;
  /** Gets the answer of command `index`. Bytes are only there during the call. */
  take(index: number, reply: Reply): void;
}

interface Pending extends Part {
  answered: number;
  readonly settle: (error?: Error) => void;
}

export class Connection {
  readonly #network: Network;
  readonly #stream: Stream;
  readonly #decoder = new ReplyDecoder();
  readonly #pending: Pending[] = [];
  readonly #timeoutMs: number;
  #timer: Timer | undefined;
  #failure: Error | undefined;
  /** Bytes that came. */
  received = 0;

  /** @param settle hears that the stream is there, or the first failure */
  private constructor(address: Address, { network, timeoutMs }: ConnectionOptions, settle: (failure?: Error) => void) {
    this.#network = network;
    this.#timeoutMs = timeoutMs;
    const fail = (reason: Error) => {
      this.#fail(reason);
      settle(reason);
    };
    this.#stream = network.connect(address, {
      opened: () => {
        this.#timer?.close();
        settle();
      },
      space: () => this.#decoder.space,
      received: (count) => this.#receive(count),
      closed: fail,
    });
    this.#timer = network.after(timeoutMs, () => fail(new Error(`no connection within ${timeoutMs} ms`)));
  }

  /** Connects and authenticates. @throws {Error} what went wrong, {ReplyError} where the server refuses */
  static async open(address: Address, options: ConnectionOptions): Promise<Connection> {
    const connection = await new Promise<Connection>((resolve, reject) => {
      const opening: Connection = new Connection(address, options, (failure) =>
        failure === undefined ? resolve(opening) : reject(failure),
      );
    });
    const { username, password } = options;
    if (password === undefined) return connection;
    try {
      await connection.command('AUTH', ...(username === undefined ? [] : [username]), password);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** Sends a part and waits for all its answers. @throws {Error} if the connection fails before; `take` is not called any more then */
  send(part: Part): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const settle = (error?: Error) => (error === undefined ? resolve() : reject(error));
      this.#pending.push({ commands: part.commands, count: part.count, take: part.take.bind(part), answered: 0, settle });
      this.#stream.write(part.commands);
      if (this.#pending.length === 1) this.#startTimer();
    });
  }

  /** One command. @throws {ReplyError} if that is the answer; {Error} if the connection fails */
  async command(...words: readonly (string | Uint8Array)[]): Promise<Exclude<Reply, ReplyError>> {
    let answer: Reply = null;
    const take = (_: number, reply: Reply) => {
      answer = reply;
    };
    const commands = new CommandBuffer(64);
    commands.command(words);
    await this.send({ commands: commands.bytes, count: 1, take });
    if ((answer as Reply) instanceof ReplyError) throw answer;
    return answer;
  }

  #receive(count: number): void {
    if (this.#failure !== undefined) return;
    this.received += count;
    try {
      this.#decoder.push(count, (reply) => this.#answer(reply));
    } catch (error) {
      this.#fail(error instanceof ProtocolError ? new Error(`the server does not speak RESP: ${error.message}`) : (error as Error));
    }
  }

  #answer(reply: Reply): void {
    const part = this.#pending[0];
    if (part === undefined) throw new ProtocolError('an answer to nothing');
    part.take(part.answered, reply);
    part.answered += 1;
    if (part.answered < part.count) return;
    this.#pending.shift();
    this.#startTimer();
    part.settle();
  }

  #startTimer(): void {
    this.#timer?.close();
    if (this.#pending.length === 0) return;
    this.#timer = this.#network.after(this.#timeoutMs, () => this.#fail(new Error(`no answer within ${this.#timeoutMs} ms`)));
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#timer?.close();
    this.#stream.close();
    for (const part of this.#pending.splice(0)) part.settle(error);
  }

  /** Ends it; what is under way fails. */
  close(): void {
    this.#fail(new Error('the connection was closed'));
  }
}
