import type { ErrorAnswer, ErrorCode } from '../api/error.js';

/** An answer that is not 2xx, after all retries, or an answer that is not from a qalign service. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** `UNKNOWN` if the answer is not from the service, such as the page of a proxy. */
    readonly code: ErrorCode | 'UNKNOWN',
    message: string,
    /** Seconds until the service accepts a retry, from Retry-After. */
    readonly retryAfterS: number | undefined,
    /** The body of the answer. For a score, it also has the items. */
    readonly answer: unknown,
    /** Number of times that the request was sent. */
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
    // the page of a proxy stays text
  }
  const { code, message } = ((answer as Partial<ErrorAnswer> | null)?.error ?? {}) as Partial<ErrorAnswer['error']>;
  return new ServiceError(
    response.status,
    typeof code === 'string' ? code : 'UNKNOWN',
    typeof message === 'string' ? message : `The service answered ${response.status}.`,
    secondsOf(response.headers.get('retry-after')),
    answer,
    attempts,
  );
}

/** The JSON of a 2xx answer. @throws ServiceError UNKNOWN if it is not JSON, such as the login page of a proxy */
export async function jsonOf<T>(response: Response): Promise<T> {
  return parsed<T>(await response.text(), response);
}

/** @param text a whole answer, or a line of one */
export function parsed<T>(text: string, response: Pick<Response, 'status' | 'headers'>): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    const type = response.headers.get('content-type') ?? 'no type';
    throw new ServiceError(
      response.status,
      'UNKNOWN',
      `The answer (${response.status}, ${type}) is not JSON, or was cut off; check that the URL is that of a qalign service.`,
      undefined,
      text,
    );
  }
}

/** `Sat, 28 Nov 2026 22:10:00 GMT` and its two older forms; `Date.parse` alone accepts "in 5" as a date. */
const HTTP_DATE = /^[a-z]{3,9},? /i;

/** Retry-After in seconds, from a number or a date; 0 for a date in the past. */
export function secondsOf(header: string | null, now = Date.now()): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const date = HTTP_DATE.test(text) && /\d\d:\d\d:\d\d/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
