import { ERROR_CODES, type ErrorCode, type ErrorFamily } from './protocol/errors.js';

/**
 * The error class of qalign. `code` is a row of the registry in bridge/protocol/errors.ts. `message` contains the
 * offending value and what to do about it. To handle errors, compare `code` or `family`.
 * @example if (error instanceof QalignError && error.code === 'MODEL_NOT_FOUND') console.error(error.message);
 */
export class QalignError extends Error {
  override readonly name: string;
  /** A row of the registry. */
  readonly code: ErrorCode;
  /** Values that belong to the error, such as the problems of a recipe. */
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'QalignError';
    this.code = code;
    this.details = options.details;
  }

  /** Who raises it: `worker`, `bridge`, `config`, `dataset`, `media` or `service`. */
  get family(): ErrorFamily {
    return ERROR_CODES[this.code].family;
  }

  /** Whether the same call can succeed later, unchanged. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** Status of the answer of the service. */
  get httpStatus(): number {
    return ERROR_CODES[this.code].httpStatus;
  }

  toJSON(): { code: ErrorCode; message: string } {
    return { code: this.code, message: this.message };
  }
}

export type { ErrorCode, ErrorFamily };
