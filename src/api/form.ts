import Type from 'typebox';
import { ScoreSettings } from './score.js';

/** A form as OpenAPI describes it; the form itself is read by upload.ts. */
export const SCORE_FORM = Type.Object({
  file: Type.Array(Type.Unsafe<string>({ type: 'string', format: 'binary' }), {
    minItems: 1,
    description: 'one item a file, under any field name',
  }),
  ...ScoreSettings,
  timeout_ms: Type.Optional(Type.Integer({ minimum: 1 })),
});
