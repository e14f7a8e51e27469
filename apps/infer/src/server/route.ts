/** What a route is, and the body it is asked with. */
import type { Context } from 'hono';
import { badRequest, HttpError } from './errors.js';
import type { RouteDescription } from './openapi.js';

export type AppVariables = { requestId: string; owner: string };
export type AppContext = Context<{ Variables: AppVariables }>;
export type Route = RouteDescription & { readonly handle: (c: AppContext) => Response | Promise<Response> };

/** A JSON body. @throws {HttpError} 415, 400 */
export async function bodyOf(c: AppContext): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw new HttpError(415, 'content_type', 'content-type must be application/json');
  }
  try {
    return await c.req.json();
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw badRequest(null, 'invalid_json', 'the body is no JSON');
  }
}
