import { once } from 'node:events';
import { ERROR_CODES } from '../../../bridge/protocol/errors.js';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError, type ErrorCode } from '../../base/errors.js';
import type { Caller } from '../http/caller.js';
import { keyOf, type Idempotency, type Remembered } from '../http/idempotency.js';
import { sendJson } from '../packed-answer.js';
import { defineRoute } from '../route.js';
import { EXAMPLE_CLIP } from '../../api/examples.js';
import { EXAMPLE_PICTURE } from '../../media/probe-picture.js';
import {
  FILE_TYPES,
  SCORE_FILE,
  SCORE_FORM,
  ScoreAnswer,
  ScoreBody,
  ScoredInput,
  ScoreFields,
} from '../../api/score.js';
import { collect, scoreItems, toAnswer, type ScoreServices } from '../score/score-items.js';
import { fingerprintOf, withScoreRequest, type ScoreRequest } from '../score/score-request.js';

const NDJSON = 'application/x-ndjson';
const ALL_CODES = Object.keys(ERROR_CODES) as ErrorCode[];

/** Dependencies of the routes that score and answer in one request. */
export interface ScoreRouteServices extends ScoreServices {
  readonly idempotency: Idempotency;
  readonly ending: AbortSignal;
}

/** Errors of every route that scores the items of a request; the last rows are failures of an item. */
export const SCORE_ERRORS: readonly ErrorCode[] = [
  'BODY_TOO_LARGE',
  'BODY_UNSUPPORTED',
  'BODY_INVALID',
  'MALFORMED',
  'CONFIG_NOT_FOUND',
  'TASK_UNSUPPORTED',
  'MODEL_NOT_LOADED',
  'OVERLOADED',
  'NO_WORKER',
  'DEADLINE_EXCEEDED',
  'IDEMPOTENCY_CONFLICT',
  'OUTPUT_UNWRITABLE',
  'PATH_FORBIDDEN',
  ...ALL_CODES.filter((code) => ERROR_CODES[code].family === 'media'),
  'OUT_OF_MEMORY',
  'NON_FINITE',
  'WORKER_LOST',
  'WORKER_HUNG',
  'WORKER_INTERNAL',
];

export const score = defineRoute({
  method: 'post',
  path: '/v1/score',
  scope: 'score',
  tag: 'scoring',
  summary: 'score pictures and clips',
  description: `Send files as a form (\`curl -F file=@photo.jpg\`), or JSON with base64, URLs or paths below the root. A file can also be the body itself, with the settings in the query (\`curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg\`). Bodies can be compressed with \`Content-Encoding\` gzip, deflate or br; limits apply to the decompressed body. Every item has its own outcome. The status is 200 if at least one item was scored, else that of the first failure; the body is the same. With \`Accept: ${NDJSON}\` items are sent as they finish, one a line, in any order. With \`map: true\`, results of pictures have a quality map, which costs one more score for each window. With \`Idempotency-Key\`, a repeated request gets the first answer.`,
  headers: { 'Idempotency-Key': 'the answer is stored for a day and returned again for the same key and request' },
  query: ScoreFields,
  body: {
    'application/json': ScoreBody,
    'multipart/form-data': SCORE_FORM,
    ...Object.fromEntries(FILE_TYPES.map((type) => [type, SCORE_FILE])),
  },
  answers: { 200: { description: 'the items, in the order of the request', schema: ScoreAnswer, types: [NDJSON] } },
  errors: SCORE_ERRORS,
  failureSchema: ScoreAnswer,
  examples: [
    { name: 'one picture', status: 200, body: { items: [{ base64: EXAMPLE_PICTURE }] } },
    {
      name: 'with a custom id, on another scale',
      status: 200,
      body: { items: [{ id: 'mine', base64: EXAMPLE_PICTURE }], tasks: ['quality'], scale: 'percent' },
    },
    {
      name: 'with a quality map of at most nine windows',
      status: 200,
      body: { items: [{ base64: EXAMPLE_PICTURE }], map: true, map_max: 9 },
    },
    {
      name: 'a clip with the scores of its frames',
      status: 200,
      body: { items: [{ id: 'clip', base64: EXAMPLE_CLIP }], per_frame: true },
    },
    {
      name: 'one of two is damaged',
      status: 200,
      body: { items: [{ base64: EXAMPLE_PICTURE }, { id: 'damaged', base64: 'AAAA' }] },
    },
    {
      name: 'each result when it is ready',
      status: 200,
      headers: { Accept: NDJSON },
      body: { items: [{ base64: EXAMPLE_PICTURE }, { base64: EXAMPLE_PICTURE }] },
    },
  ],
  async handle(call, services: ScoreRouteServices) {
    checkBeforeReading(services);
    const work = async (request: ScoreRequest): Promise<void> => {
      const lines = call.req.accepts(['application/json', NDJSON]) === NDJSON;
      if (lines && call.req.get('idempotency-key') === undefined) return await stream(call, request, services);
      const { status, body, replayed } = await answerOnce(call, request, services, async () =>
        toAnswer(call, await collect(scoreItems(call, request, services))),
      );
      if (replayed) call.res.set('Idempotency-Replayed', 'true');
      const answer = requireAnswer(body);
      if (lines && status === 200)
        call.res.type(NDJSON).send(answer.items.map((item) => `${JSON.stringify(item)}\n`).join(''));
      else sendJson(call.req, call.res.status(status).set(status === 503 ? { 'Retry-After': '5' } : {}), answer);
    };
    await withScoreRequest(call, ScoreBody, services, work, { fileBody: true });
  },
});

/** With an Idempotency-Key the work is done once. */
export async function answerOnce(
  call: Caller,
  request: ScoreRequest,
  { idempotency }: Pick<ScoreRouteServices, 'idempotency'>,
  work: () => Promise<Remembered>,
): Promise<Remembered & { replayed: boolean }> {
  const key = keyOf(call);
  if (key === undefined) return { ...(await work()), replayed: false };
  return idempotency.answer(key, await fingerprintOf(call.req.path, request), work);
}

function requireAnswer(body: unknown): ScoreAnswer {
  const problem = problemWith(ScoreAnswer, body);
  if (problem !== undefined)
    throw new QalignError('INTERNAL', `The answer of /v1/score does not match its schema at ${problem}.`);
  return body as ScoreAnswer;
}

/** An overloaded service refuses before it reads the body. */
export function checkBeforeReading({ models, admission, config, ending }: ScoreRouteServices): void {
  if (ending.aborted)
    throw new QalignError('SHUTTING_DOWN', 'The service is shutting down; try another or try again later.');
  if (models.loaded.size === 0) models.get();
  const [scorer] = models.loaded.values();
  // With several models, the body names the model.
  if (scorer !== undefined && models.loaded.size === 1) admission.check(scorer, config.request_ms);
}

async function stream(call: Caller, request: ScoreRequest, services: ScoreServices): Promise<void> {
  const { res } = call;
  for await (const item of scoreItems(call, request, services)) {
    const problem = problemWith(ScoredInput, item);
    if (problem !== undefined)
      throw new QalignError('INTERNAL', `An item of /v1/score does not match its schema at ${problem}.`);
    call.gone.throwIfAborted(); // a response that is closed never drains
    if (!res.headersSent) res.status(200).type(NDJSON);
    if (!res.write(`${JSON.stringify(item)}\n`)) await Promise.race([once(res, 'drain'), once(res, 'close')]);
    call.gone.throwIfAborted();
  }
  res.end();
}
