/** One server of a store: its connection, made when it is needed and again when it was lost; whether it answers at present. */
import { Connection, type ConnectionOptions, type Part } from './valkey-connection.js';
import type { Address, Timer } from './valkey-network.js';
import { ReplyError } from './valkey-reply.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

export class ValkeyNode {
  readonly address: Address;
  /** False from a failure on until it has answered a PING: whoever has a choice asks others meanwhile. */
  isUp = true;
  connections = 0;
  readonly #options: ConnectionOptions;
  readonly #isCluster: () => boolean;
  #connection: Promise<Connection> | undefined;
  #revival: Timer | undefined;
  #receivedBefore = 0;
  #open: Connection | undefined;
  #isClosed = false;

  /** @param isCluster whether reads may be asked of replicas: then the connection says so */
  constructor(address: Address, options: ConnectionOptions, isCluster: () => boolean) {
    this.address = address;
    this.#options = options;
    this.#isCluster = isCluster;
  }

  get received(): number {
    return this.#receivedBefore + (this.#open?.received ?? 0);
  }

  /** A connection that the node's other users do not use. */
  openConnection(): Promise<Connection> {
    return Connection.open(this.address, this.#options);
  }

  /** Sends a part on the shared connection. @throws {Error} if it fails; the node then counts as down until it answers again */
  async send(part: Part): Promise<void> {
    try {
      await (await this.connect()).send(part);
    } catch (error) {
      if (!this.#isClosed) this.#goDown();
      throw error;
    }
  }

  /** The shared connection. */
  async connect(): Promise<Connection> {
    if (this.#open?.isOpen === true) return this.#open;
    if (this.#connection === undefined) {
      this.#connection = this.#connect();
      const forget = () => {
        this.#connection = undefined;
      };
      this.#connection.then(forget, forget);
    }
    return this.#connection;
  }

  async #connect(): Promise<Connection> {
    const connection = await this.openConnection();
    if (this.#isCluster()) await connection.command('READONLY');
    if (this.#isClosed) connection.close();
    this.#receivedBefore = this.received;
    this.#open = connection;
    this.connections += 1;
    return connection;
  }

  #goDown(): void {
    this.isUp = false;
    if (this.#revival === undefined) this.#reviveAfter(FIRST_PAUSE_MS);
  }

  #reviveAfter(pauseMs: number): void {
    this.#revival = this.#options.network.after(pauseMs, async () => {
      try {
        await (await this.connect()).command('PING');
        this.isUp = true;
        this.#revival = undefined;
      } catch (error) {
        if (this.#isClosed) return;
        this.#reviveAfter(error instanceof ReplyError ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, pauseMs * 2));
      }
    });
    this.#revival.unref();
  }

  close(): void {
    this.#isClosed = true;
    this.#revival?.close();
    this.#open?.close();
    this.#connection?.then(
      (connection) => connection.close(),
      () => {},
    );
  }
}
