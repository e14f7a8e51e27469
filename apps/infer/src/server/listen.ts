/** The app on a socket: limits of connections, and an end that lets running requests finish. */
import type { Server } from 'node:http';
import { serve } from '@hono/node-server';
import type { Hono } from 'hono';
import { InferError } from '../errors.js';
import type { ServerState } from './served-model.js';

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface Listening {
  readonly url: string;
  /** Takes no more connections; running requests have `graceMs` to finish. */
  close(graceMs: number): Promise<void>;
}

/** @throws {InferError} SERVE_LISTEN */
// biome-ignore lint/suspicious/noExplicitAny: an app's variables are its own business
export async function listen(app: Hono<any>, state: ServerState, { host, port }: ListenOptions): Promise<Listening> {
  const server = serve({
    fetch: app.fetch,
    hostname: host,
    port,
    serverOptions: {
      maxHeaderSize: 16_384,
      headersTimeout: 10_000,
      requestTimeout: 60_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
  }) as Server;
  server.maxConnections = 1024;
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (cause) => {
      const message = `cannot listen on ${host} port ${port}: ${cause.message}`;
      reject(new InferError('SERVE_LISTEN', message, 'Choose another port or address.', cause));
    });
  });
  const address = server.address();
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${name}:${typeof address === 'object' ? address?.port : port}`,
    async close(graceMs) {
      state.isDraining = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const { engine } = state.model ?? {};
      const late = setTimeout(() => void engine?.abort(), graceMs);
      await engine?.drain();
      clearTimeout(late);
      // Responses that are not read by now will not be.
      const forced = setTimeout(() => server.closeAllConnections(), 1_000);
      await closed;
      clearTimeout(forced);
    },
  };
}
