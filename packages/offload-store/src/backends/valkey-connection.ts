/**
 * One connection to one Valkey server: many commands under way at once, answered in order, each within its time. It is used until something goes
 * wrong; then everything under way fails, and the next one is another connection.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { CommandBuffer } from './valkey-commands.js';
import { ProtocolError, type Reply, ReplyDecoder, ReplyError } from './valkey-reply.js';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConnectionOptions {
  readonly tls: boolean;
  /** Certificates of authorities that are trusted beside the usual ones (`NODE_EXTRA_CA_CERTS` names a file of them). */
  readonly ca?: string | undefined;
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
  readonly #socket: Socket;
  readonly #decoder: ReplyDecoder;
  readonly #pending: Pending[] = [];
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  /** Bytes that came. */
  received = 0;
  readonly onClose: Promise<void>;

  private constructor(socket: Socket, decoder: ReplyDecoder, timeoutMs: number) {
    this.#decoder = decoder;
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.onClose = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Connects and authenticates. @throws {Error} what went wrong, {ReplyError} where the server refuses */
  static async open({ host, port }: Address, { tls, ca, username, password, timeoutMs }: ConnectionOptions): Promise<Connection> {
    const decoder = new ReplyDecoder();
    const onread = {
      buffer: () => decoder.space,
      callback: (count: number) => {
        connection.#receive(count);
        return true;
      },
    };
    const target = { host, port, onread }; // TLS sockets know `onread` too, though their types do not
    const secured = { ...target, ...(ca !== undefined && { ca }), ...(isIP(host) === 0 && { servername: host }) };
    const socket = tls ? connectTls(secured as TlsOptions) : connectTcp(target);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    const connection = new Connection(socket, decoder, timeoutMs);
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
        socket.once(tls ? 'secureConnect' : 'connect', () => {
          clearTimeout(timer);
          resolve();
        });
        void connection.onClose.then(() => {
          clearTimeout(timer);
          reject(connection.#failure);
        });
      });
      if (password !== undefined) await connection.command('AUTH', ...(username === undefined ? [] : [username]), password);
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
      this.#socket.write(part.commands);
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
    clearTimeout(this.#timer);
    if (this.#pending.length === 0) return;
    this.#timer = setTimeout(() => this.#fail(new Error(`no answer within ${this.#timeoutMs} ms`)), this.#timeoutMs);
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    clearTimeout(this.#timer);
    this.#socket.destroy();
    for (const part of this.#pending.splice(0)) part.settle(error);
  }

  /** Ends it; what is under way fails. */
  close(): void {
    this.#fail(new Error('the connection was closed'));
  }
}
