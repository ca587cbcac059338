/** The boundary of src/api: the shapes of HTTP bodies and answers; nothing of how they are sent or computed. */
import Type, { type Static } from 'typebox';
import { TASKS } from '../prompts/subject.js';
import { ScoreFailureSchema, ScoreResultSchema } from './result.js';
import { SCALES } from '../scoring/levels.js';
import { closed, ErrorAnswer, exactlyOne } from './error.js';

const name = (description: string) => Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$', description });

const SOURCES = {
  base64: Type.String({
    minLength: 4,
    pattern: '^[A-Za-z0-9+/_=-]+$',
    description: 'bytes of the file in base64 or base64url',
  }),
  url: Type.String({ minLength: 8, maxLength: 4096, description: 'http(s) URL; the service must allow URLs' }),
  path: Type.String({ minLength: 1, maxLength: 4096, description: 'path of a file below the root of the service' }),
};

/** A picture or clip: exactly one of base64, url and path. */
export const ItemSource = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'what the answer calls it; otherwise the path or URL, or its place',
      }),
    ),
    base64: Type.Optional(SOURCES.base64),
    url: Type.Optional(SOURCES.url),
    path: Type.Optional(SOURCES.path),
  },
  { ...closed, ...exactlyOne(SOURCES) },
);
export interface ItemSource extends Static<typeof ItemSource> {}

/** What may be said beside the pictures; the same words as fields of a form or in a query. */
export const ScoreSettings = {
  tasks: Type.Optional(
    Type.Array(Type.Enum([...TASKS]), {
      minItems: 1,
      maxItems: TASKS.length,
      uniqueItems: true,
      description: 'what each item is rated for (default: quality)',
    }),
  ),
  scale: Type.Optional(
    Type.Enum([...SCALES], { description: 'mos5: 1 to 5 (default), unit: 0 to 1, percent: 0 to 100' }),
  ),
  prompt: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
      description: "a name of configs/prompts (default: the model's own)",
    }),
  ),
  strict: Type.Optional(
    Type.Boolean({ description: 'an input with warnings fails with MEDIA_DOUBTFUL instead of being scored' }),
  ),
  model: Type.Optional(name('a loaded model of GET /v1/models (default: the first)')),
};
const timeout = {
  timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3_600_000,
      description: 'answered within this or 504; never longer than the service allows',
    }),
  ),
};

export const ScoreBody = Type.Object(
  { items: Type.Array(ItemSource, { minItems: 1, description: 'pictures and clips' }), ...ScoreSettings, ...timeout },
  closed,
);
export interface ScoreBody extends Static<typeof ScoreBody> {}
/** The fields of a form, after its files were taken out. */
export const ScoreFields = Type.Object({ ...ScoreSettings, ...timeout }, closed);
export interface ScoreFields extends Static<typeof ScoreFields> {}

/** A form as OpenAPI describes it; the form itself is read by server/http/upload.ts. */
export const SCORE_FORM = Type.Object({
  file: Type.Array(Type.Unsafe<string>({ type: 'string', format: 'binary' }), {
    minItems: 1,
    description: 'one item a file, under any field name',
  }),
  ...ScoreSettings,
  timeout_ms: Type.Optional(Type.Integer({ minimum: 1, description: 'answered within this or 504' })),
});

/** Types of a body that is one picture or clip. What it is, its bytes say. */
export const FILE_TYPES = ['image/*', 'video/*', 'application/octet-stream'] as const;
export const SCORE_FILE = Type.Unsafe<string>({
  type: 'string',
  format: 'binary',
  description: 'one item; settings in the query, its name in Content-Disposition',
});

/** One input: an outcome for each task, in their order, exactly as the command line writes them. */
export const ScoredInput = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'place in the request, from 0' }),
    input: Type.String({ description: 'id of the item; otherwise its path, URL or file name, or its place' }),
    ok: Type.Boolean({ description: 'every task was scored' }),
    results: Type.Array(Type.Union([ScoreResultSchema, ScoreFailureSchema]), {
      minItems: 1,
      description: 'a score or a failure for each task, in their order',
    }),
  },
  closed,
);
export interface ScoredInput extends Static<typeof ScoredInput> {}

/** `error` is there when nothing at all could be scored; the status is then that of the first failure. */
export const ScoreAnswer = Type.Object(
  {
    items: Type.Array(ScoredInput, { description: 'in the order of the request' }),
    scored: Type.Integer({ minimum: 0, description: 'items scored for every task' }),
    failed: Type.Integer({ minimum: 0, description: 'items that failed for a task' }),
    warned: Type.Integer({ minimum: 0, description: 'scores with warnings, of those scored' }),
    error: Type.Optional(ErrorAnswer.properties.error),
  },
  closed,
);
/** The outcome of every item, in the order of the request. */
export interface ScoreAnswer extends Static<typeof ScoreAnswer> {}

const probability = Type.Number({ minimum: 0, maximum: 1 });
export const CompareBody = Type.Object(
  {
    items: Type.Array(ItemSource, { minItems: 2, maxItems: 2, description: 'two pictures or clips' }),
    ...ScoreSettings,
    ...timeout,
  },
  closed,
);
export interface CompareBody extends Static<typeof CompareBody> {}
export const CompareAnswer = Type.Object(
  {
    task: Type.Enum([...TASKS], { description: 'what they were compared for' }),
    better: Type.Enum(['first', 'second', 'equal'], { description: 'which is more likely rated above the other' }),
    probability: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'that a rating of the first is above one of the second, ties shared, from their level_probs',
    }),
    items: Type.Array(ScoredInput, { minItems: 2, maxItems: 2, description: 'both with their scores' }),
  },
  closed,
);
/** Which of two items is better, with a probability. */
export interface CompareAnswer extends Static<typeof CompareAnswer> {}

export const RankBody = Type.Object(
  { items: Type.Array(ItemSource, { minItems: 2, description: 'pictures and clips' }), ...ScoreSettings, ...timeout },
  closed,
);
export interface RankBody extends Static<typeof RankBody> {}
export const RankAnswer = Type.Object(
  {
    task: Type.Enum([...TASKS], { description: 'what they were ranked for' }),
    ranking: Type.Array(
      Type.Object(
        {
          rank: Type.Integer({ minimum: 1, description: '1: the best' }),
          index: Type.Integer({ minimum: 0, description: 'place in the request, from 0' }),
          input: Type.String({ description: 'id, path, URL or file name of the item' }),
          score: Type.Number({ description: 'its score' }),
          above_next: Type.Union([probability, Type.Null()], {
            description: 'probability that it is better than the next; null for the last',
          }),
        },
        closed,
      ),
      { description: 'items that were scored, from best to worst' },
    ),
    items: Type.Array(ScoredInput, { description: 'all items, in the order of the request' }),
  },
  closed,
);
/** All items from best to worst. */
export interface RankAnswer extends Static<typeof RankAnswer> {}
