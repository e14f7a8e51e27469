/** What the client asks of the world: streams of bytes to servers, and time. Sockets over TCP or TLS here; tests have a world of their own. */
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A stream of bytes to and from a server. */
export interface Stream {
  /** The bytes must stay as they are until the server has answered them. */
  write(bytes: Uint8Array): void;
  /** Ends it; its listener hears nothing more than that it has closed, if that. */
  close(): void;
}

/** Who is told about a stream; not before `connect` has returned. */
export interface StreamListener {
  opened(): void;
  /** Where the next bytes are to be put. */
  space(): Buffer;
  /** So many were put there. */
  received(count: number): void;
  /** There is nothing more to come. */
  closed(reason: Error): void;
}

export interface Timer {
  close(): unknown;
  /** A process need not stay for it. */
  unref(): unknown;
}

export interface Network {
  connect(address: Address, listener: StreamListener): Stream;
  /** Milliseconds since some moment. */
  now(): number;
  after(ms: number, work: () => void): Timer;
}

export const sleep = (network: Network, ms: number): Promise<void> => new Promise((resolve) => network.after(ms, resolve));

const KEEP_ALIVE_MS = 10_000;

/** @param tls absent: plain TCP; `ca`: certificates of authorities that are trusted beside the usual ones (`NODE_EXTRA_CA_CERTS` names a file of them) */
export function sockets(tls?: { readonly ca?: string | undefined }): Network {
  return {
    now: () => performance.now(),
    after: (ms, work) => setTimeout(work, ms),
    connect({ host, port }, listener) {
      const onread = {
        buffer: () => listener.space(),
        callback: (count: number) => {
          listener.received(count);
          return true;
        },
      };
      const target = { host, port, onread }; // TLS sockets know `onread` too, though their types do not
      const secured = { ...target, ...(tls?.ca !== undefined && { ca: tls.ca }), ...(isIP(host) === 0 && { servername: host }) };
      const socket = tls === undefined ? connectTcp(target) : connectTls(secured as TlsOptions);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => listener.opened());
      socket.on('error', (error) => listener.closed(error));
      socket.on('close', () => listener.closed(new Error('the server closed the connection')));
      return { write: (bytes) => void socket.write(bytes), close: () => void socket.destroy() };
    },
  };
}
