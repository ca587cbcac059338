import Type, { type Static, type TSchema } from 'typebox';
import { ERROR_CODES, type ErrorCode } from '../../bridge/protocol/errors.js';

export const closed = { additionalProperties: false } as const;

/**
 * An object has exactly one of these properties. Each branch repeats the type of its property: without it, generated
 * clients treat the branch as an object without properties.
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

/** The part of a list that is returned; the newest rows are first. */
export const PAGE = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'maximum number of rows in the answer (default: 50)' }),
  ),
  offset: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'number of the newest rows to skip (default: 0)',
    }),
  ),
};

/** The answer of every route to a request that fails. It never contains a stack trace or a path of the server. */
export const ErrorAnswer = Type.Object(
  {
    error: Type.Object(
      {
        code: Type.Unsafe<ErrorCode>(
          Type.Enum(Object.keys(ERROR_CODES) as ErrorCode[], { description: 'a code of the registry' }),
        ),
        message: Type.String({ description: 'what is wrong and what to do' }),
        retryable: Type.Boolean({ description: 'true: the same request can succeed if it is sent again unchanged' }),
        request_id: Type.String({ description: 'X-Request-Id of the answer; it is in the log lines of the request' }),
      },
      { ...closed, description: 'reason why the request failed' },
    ),
  },
  closed,
);
export interface ErrorAnswer extends Static<typeof ErrorAnswer> {}
export type { ErrorCode };
