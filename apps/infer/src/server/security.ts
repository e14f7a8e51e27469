/** Who may ask: the Host header against an allow-list (DNS rebinding), keys in constant time, foreign pages by a list of origins. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { HttpError } from './errors.js';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The name in a Host header, in small letters and without port; undefined where it is no host at all. */
export function hostName(header: string | undefined): string | undefined {
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?)(?::\d{1,5})?$/i.exec(header ?? '');
  return match?.[1].toLowerCase();
}

/** Refuses requests whose Host is not one of ours: a page elsewhere whose name was made to point here is stopped by it. */
export function hostCheck(allowed: readonly string[]): MiddlewareHandler {
  const names = new Set([...LOOPBACK, ...allowed.map((name) => name.toLowerCase())]);
  return async (c, next) => {
    const name = hostName(c.req.header('host'));
    if (name === undefined || !names.has(name)) {
      throw new HttpError(421, 'host_not_allowed', 'this Host is not served here; start the server with --allowed-hosts');
    }
    await next();
  };
}

/** Pages of other origins than ours are refused unless listed, and then get CORS headers. To run after the check of Host. */
export function originCheck(origins: readonly string[]): MiddlewareHandler {
  const allowed = new Set(origins);
  const headers = cors({
    origin: (origin) => (allowed.has(origin) ? origin : null),
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['authorization', 'content-type', 'x-request-id'],
    exposeHeaders: ['x-request-id', 'retry-after', 'retry-after-ms'],
    maxAge: 600,
  });
  return async (c, next) => {
    const origin = c.req.header('origin');
    if (origin === undefined || isOwn(origin, c.req.header('host'))) return next();
    if (!allowed.has(origin)) {
      throw new HttpError(403, 'origin_not_allowed', 'pages of this origin may not ask; start the server with --cors-origins');
    }
    return headers(c, next);
  };
}

/** The scheme may be another one: a proxy's. */
function isOwn(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** Who asks, by his key: `key 1` for the first one; undefined where the key is wrong. Takes as long for any. */
export function keyOwner(keys: readonly string[], authorization: string | undefined): string | undefined {
  const given = digest(/^Bearer ([\x21-\x7e]{1,512})$/i.exec(authorization ?? '')?.[1] ?? '');
  let owner: string | undefined;
  keys.forEach((key, i) => {
    if (timingSafeEqual(digest(key), given)) owner = `key ${i + 1}`;
  });
  return owner;
}
