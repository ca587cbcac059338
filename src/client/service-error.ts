import type { ErrorAnswer, ErrorCode } from '../api/error.js';

/** Any answer that is not 2xx, after it was sent again where that could help. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  constructor(
    /** Of HTTP. */
    readonly status: number,
    /** `UNKNOWN` where the answer is not the service's own, such as the page of a proxy. */
    readonly code: ErrorCode | 'UNKNOWN',
    message: string,
    /** Seconds after which the service wants to be asked again. */
    readonly retryAfterS: number | undefined,
    /** The body as it came: for a score it has the items too. */
    readonly answer: unknown,
    /** How often the request was sent. */
    readonly attempts: number = 1,
  ) {
    super(message);
  }
}

export async function toServiceError(response: Response, attempts: number): Promise<ServiceError> {
  const text = await response.text();
  let answer: unknown = text;
  try {
    answer = JSON.parse(text);
  } catch {
    // a proxy's page: kept as it is
  }
  const error = (answer as Partial<ErrorAnswer> | null)?.error;
  return new ServiceError(
    response.status,
    error?.code ?? 'UNKNOWN',
    error?.message ?? `The service answered ${response.status}.`,
    secondsOf(response.headers.get('retry-after')),
    answer,
    attempts,
  );
}

/** Retry-After in seconds: a number of them, or a date. */
export function secondsOf(header: string | null, now = Date.now()): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const date = /[a-z]/i.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
