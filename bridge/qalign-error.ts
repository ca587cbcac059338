import { ERROR_CODES, type ErrorCode, type ErrorFamily } from './protocol/errors.js';

/**
 * The error class of qalign. `code` is a row of the registry in bridge/protocol/errors.ts. `message` contains the
 * offending value and what to do about it. To handle errors, compare `code` or `family`.
 */
export class QalignError extends Error {
  override readonly name: string;
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'QalignError';
    this.code = code;
    this.details = options.details;
  }

  get family(): ErrorFamily {
    return ERROR_CODES[this.code].family;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code].httpStatus;
  }

  toJSON(): { code: ErrorCode; message: string } {
    return { code: this.code, message: this.message };
  }
}

export type { ErrorCode, ErrorFamily };
