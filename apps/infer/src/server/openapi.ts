/** The OpenAPI document, made from the table of routes and the schemas that check their bodies. */
import { z } from 'zod';
import { REFUSED } from './parameters.js';

export interface RouteDescription {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly summary: string;
  /** Open to whoever has no key. */
  readonly open?: boolean;
  readonly body?: z.ZodObject;
}

export function openApiDocument(routes: readonly RouteDescription[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  const error = { description: 'An error', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } };
  for (const { method, path, summary, open, body } of routes) {
    const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
    const requestBody = body && { required: true, content: { 'application/json': { schema: z.toJSONSchema(body, { io: 'input' }) } } };
    const key = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[key] ??= {};
    paths[key][method] = {
      summary,
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(requestBody ? { requestBody } : {}),
      ...(open ? { security: [] } : {}),
      responses: { 200: { description: 'Done' }, default: error },
    };
  }
  const message = { type: 'string' };
  const nullable = { type: ['string', 'null'] };
  const refusals = Object.entries(REFUSED).map(([name, { because }]) => `- \`${name}\`: ${because}`);
  return {
    openapi: '3.1.0',
    info: { title: 'Scone', version, description: `Parameters that are refused:\n\n${refusals.join('\n')}` },
    paths,
    security: [{ key: [] }],
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Error: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['message', 'type', 'param', 'code'],
              properties: { message, type: message, param: nullable, code: message },
            },
          },
        },
      },
    },
  };
}
