/** Errors in the shape of OpenAI's API, with stable codes; what no client may learn stays inside. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string };
}

export class HttpError extends Error {
  readonly status: ContentfulStatusCode;
  readonly code: string;
  readonly param: string | null;
  /** After how long to ask again. */
  readonly retryAfterMs: number | undefined;

  constructor(
    status: ContentfulStatusCode,
    code: string,
    message: string,
    { param = null, retryAfterMs }: { readonly param?: string | null; readonly retryAfterMs?: number } = {},
  ) {
    super(message);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.param = param;
    this.retryAfterMs = retryAfterMs;
  }

  get body(): ErrorBody {
    return { error: { message: this.message, type: typeOf(this.status), param: this.param, code: this.code } };
  }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

export function badRequest(param: string | null, code: string, message: string): HttpError {
  return new HttpError(400, code, message, { param });
}

/** What a typed error means to a client. An error without a code is a bug: the client learns no more than that. */
export function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const { code, remedy } = error as { code?: unknown; remedy?: unknown };
  if (!(error instanceof Error) || typeof code !== 'string' || typeof remedy !== 'string') {
    return new HttpError(500, 'internal_error', 'the server failed; its log says more');
  }
  const message = `${error.message}. ${remedy}`;
  switch (code) {
    case 'PROMPT':
      return badRequest('prompt', 'invalid_prompt', message);
    case 'CONTEXT_LENGTH':
      return badRequest('prompt', 'context_length_exceeded', message);
    case 'CHAT_TEMPLATE':
      return badRequest('messages', 'chat_template_failed', message);
    case 'SAMPLING_OPTION':
      return badRequest(null, 'invalid_value', message);
    case 'QUEUE_FULL':
      return new HttpError(429, 'queue_full', message, { retryAfterMs: 500 });
    case 'ENGINE_CLOSED':
      return new HttpError(503, 'shutting_down', message, { retryAfterMs: 5000 });
  }
  // A store that is away may come back; its messages may name its place, which is none of a client's business.
  if (code.startsWith('STORE_'))
    return new HttpError(503, 'store_unavailable', 'rows of f-grams cannot be read now', { retryAfterMs: 1000 });
  if (code.startsWith('DEVICE_')) return new HttpError(503, 'device_unavailable', 'the accelerator failed', { retryAfterMs: 5000 });
  return new HttpError(500, 'internal_error', 'the server failed; its log says more');
}

/** An error as the whole response. */
export function errorResponse(c: Context, error: HttpError): Response {
  if (error.retryAfterMs !== undefined) {
    c.header('retry-after-ms', String(error.retryAfterMs));
    c.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
  }
  if (error.status === 401) c.header('www-authenticate', 'Bearer');
  return c.json(error.body, error.status);
}
