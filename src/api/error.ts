import Type, { type Static, type TSchema } from 'typebox';
import { ERROR_CODES, type ErrorCode } from '../../bridge/protocol/errors.js';

export const closed = { additionalProperties: false } as const;

/**
 * Of these properties an object has one. Each branch says the type of its own: without it, generated clients take the
 * branch for an object without properties.
 */
export const exactlyOne = (properties: Readonly<Record<string, TSchema>>) => ({
  description: `exactly one of ${Object.keys(properties)
    .join(', ')
    .replace(/, ([^,]*)$/, ' and $1')}`,
  oneOf: Object.entries(properties).map(([name, schema]) => ({
    type: 'object',
    required: [name],
    properties: { [name]: schema },
  })),
});

/** Which rows of a list are given; the newest come first. */
export const PAGE = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'rows in the answer (default: 50)' })),
  offset: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'newest rows to skip (default: 0)' }),
  ),
};

/** What every route answers when it cannot do what was asked. Never a stack, never a path of the server. */
export const ErrorAnswer = Type.Object(
  {
    error: Type.Object(
      {
        code: Type.Unsafe<ErrorCode>(
          Type.Enum(Object.keys(ERROR_CODES) as ErrorCode[], { description: 'a code of the registry' }),
        ),
        message: Type.String({ description: 'what is wrong and what to do, in a sentence' }),
        retryable: Type.Boolean({ description: 'the same request may succeed if sent again unchanged' }),
        request_id: Type.String({ description: 'X-Request-Id of the answer; log lines carry it' }),
      },
      { ...closed, description: 'why there is no other answer' },
    ),
  },
  closed,
);
export interface ErrorAnswer extends Static<typeof ErrorAnswer> {}
export type { ErrorCode };
