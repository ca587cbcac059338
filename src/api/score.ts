/** src/api contains only the shapes of HTTP bodies and answers; it does not send or compute them. */
import Type, { type Static } from 'typebox';
import { TASKS } from '../prompts/subject.js';
import { ScoreFailureSchema, ScoreResultSchema } from './result.js';
import { SCALES } from '../scoring/levels.js';
import { closed, ErrorAnswer, exactlyOne } from './error.js';
import { WINDOW_FRAMES } from './frame-curve.js';
import { MapSettings } from './quality-map.js';

const name = (description: string) => Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$', description });

const SOURCES = {
  base64: Type.String({
    minLength: 4,
    pattern: '^[A-Za-z0-9+/_=-]+$',
    description: 'bytes of the file in base64 or base64url',
  }),
  url: Type.String({
    minLength: 8,
    maxLength: 4096,
    description: 'http(s) URL; the service must have allow_urls: true',
  }),
  path: Type.String({ minLength: 1, maxLength: 4096, description: 'path of a file below the root of the service' }),
};

/** A picture or clip: exactly one of base64, url and path. */
export const ItemSource = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'name of the item in the answer (default: its path or URL, or its index)',
      }),
    ),
    base64: Type.Optional(SOURCES.base64),
    url: Type.Optional(SOURCES.url),
    path: Type.Optional(SOURCES.path),
  },
  { ...closed, ...exactlyOne(SOURCES) },
);
export interface ItemSource extends Static<typeof ItemSource> {}

/** Settings of a request. Fields of a form and parameters of a query have the same names. */
export const ScoreSettings = {
  tasks: Type.Optional(
    Type.Array(Type.Enum([...TASKS]), {
      minItems: 1,
      maxItems: TASKS.length,
      uniqueItems: true,
      description: 'tasks that each item is scored for (default: quality)',
    }),
  ),
  scale: Type.Optional(
    Type.Enum([...SCALES], {
      description: 'scale of the scores. mos5: 1 to 5 (default); unit: 0 to 1; percent: 0 to 100',
    }),
  ),
  prompt: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
      description: "prompt: a name of configs/prompts (default: the model's prompt)",
    }),
  ),
  strict: Type.Optional(
    Type.Boolean({ description: 'true: an input with warnings fails with MEDIA_DOUBTFUL instead of being scored' }),
  ),
  ...MapSettings,
  per_frame: Type.Optional(
    Type.Boolean({
      description:
        'true: the result of a clip also has frame_curve, a score for each of its frames. Results of pictures do not change',
    }),
  ),
  per_frame_window: Type.Optional(
    Type.Integer({
      ...WINDOW_FRAMES,
      description: 'instead of per_frame: a score for each window of this many consecutive frames',
    }),
  ),
  model: Type.Optional(name('model: a loaded model of GET /v1/models (default: the first)')),
};
const timeout = {
  timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 3_600_000,
      description: 'maximum time until the answer; later the status is 504. The service limits it to request_ms',
    }),
  ),
};

export const ScoreBody = Type.Object(
  { items: Type.Array(ItemSource, { minItems: 1, description: 'pictures and clips' }), ...ScoreSettings, ...timeout },
  closed,
);
export interface ScoreBody extends Static<typeof ScoreBody> {}
/** The fields of a form without its files. */
export const ScoreFields = Type.Object({ ...ScoreSettings, ...timeout }, closed);
export interface ScoreFields extends Static<typeof ScoreFields> {}

/** A form as described in OpenAPI; server/http/upload.ts reads the form. */
export const SCORE_FORM = Type.Object({
  file: Type.Array(Type.Unsafe<string>({ type: 'string', format: 'binary' }), {
    minItems: 1,
    description: 'one file for each item, with any field name',
  }),
  ...ScoreSettings,
  timeout_ms: Type.Optional(
    Type.Integer({ minimum: 1, description: 'maximum time until the answer; later the status is 504' }),
  ),
});

/** Content types of a body that is one picture or clip. Its format is detected from the bytes. */
export const FILE_TYPES = ['image/*', 'video/*', 'application/octet-stream'] as const;
export const SCORE_FILE = Type.Unsafe<string>({
  type: 'string',
  format: 'binary',
  description: 'one item; its settings are in the query, its name is in Content-Disposition',
});

/** The outcomes of one input, one for each task in their order, exactly as the command line writes them. */
export const ScoredInput = Type.Object(
  {
    index: Type.Integer({ minimum: 0, description: 'index in the request, from 0' }),
    input: Type.String({ description: 'id of the item; without an id, its path, URL or file name, or its index' }),
    ok: Type.Boolean({ description: 'true: every task was scored' }),
    results: Type.Array(Type.Union([ScoreResultSchema, ScoreFailureSchema]), {
      minItems: 1,
      description: 'a score or a failure for each task, in their order',
    }),
  },
  closed,
);
export interface ScoredInput extends Static<typeof ScoredInput> {}

/** `error` is present if no item could be scored. The status is then the status of the first failure. */
export const ScoreAnswer = Type.Object(
  {
    items: Type.Array(ScoredInput, { description: 'outcomes of all items, in the order of the request' }),
    scored: Type.Integer({ minimum: 0, description: 'number of scores, one for each item and task' }),
    failed: Type.Integer({ minimum: 0, description: 'number of failures, one for each item and task' }),
    warned: Type.Integer({ minimum: 0, description: 'number of scores with warnings' }),
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
    task: Type.Enum([...TASKS], { description: 'task that the items were compared for' }),
    better: Type.Enum(['first', 'second', 'equal'], { description: 'item that is more likely to be rated higher' }),
    probability: Type.Number({
      minimum: 0,
      maximum: 1,
      description:
        'probability that a rating of the first item is above a rating of the second, computed from their level_probs. A tie counts half',
    }),
    items: Type.Array(ScoredInput, { minItems: 2, maxItems: 2, description: 'outcomes of both items' }),
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
    task: Type.Enum([...TASKS], { description: 'task that the items were ranked for' }),
    ranking: Type.Array(
      Type.Object(
        {
          rank: Type.Integer({ minimum: 1, description: 'rank, from 1 for the best item' }),
          index: Type.Integer({ minimum: 0, description: 'index in the request, from 0' }),
          input: Type.String({ description: 'id, path, URL or file name of the item' }),
          score: Type.Number({ description: 'score of the item' }),
          above_next: Type.Union([probability, Type.Null()], {
            description: 'probability that the item is better than the next; null for the last item',
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
