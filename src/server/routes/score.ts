import { once } from 'node:events';
import { problemWith } from '../../../bridge/validate.js';
import { QalignError } from '../../base/errors.js';
import { fingerprintOf, type Remembered } from '../http/idempotency.js';
import { defineRoute, type Call } from '../route.js';
import { EXAMPLE_PICTURE } from '../../media/probe-picture.js';
import { ScoreAnswer, ScoreBody, ScoredInput } from '../../api/score.js';
import { SCORE_FORM } from '../../api/form.js';
import { collect, scoreItems, toAnswer } from '../score/score-items.js';
import { withOrder, type ScoreOrder } from '../score/score-request.js';

const NDJSON = 'application/x-ndjson';

export const score = defineRoute({
  method: 'post',
  path: '/v1/score',
  scope: 'score',
  tag: 'scoring',
  summary: 'score pictures and clips',
  description: `Send files as a form (\`curl -F file=@photo.jpg\`), or JSON with base64, URLs or paths below the root. Every item has its own outcome; status 200 as soon as one was scored, else the status of the first failure with the same body. With \`Accept: ${NDJSON}\` items come as they finish, one a line, in any order. With \`Idempotency-Key\` a repeated request gets the first answer.`,
  headers: { 'Idempotency-Key': 'the answer is kept for a day and given again for the same key and request' },
  body: { 'application/json': ScoreBody, 'multipart/form-data': SCORE_FORM },
  answers: { 200: { description: 'the items, in the order of the request', schema: ScoreAnswer, types: [NDJSON] } },
  errors: [
    'BODY_TOO_LARGE',
    'BODY_UNSUPPORTED',
    'BODY_INVALID',
    'MALFORMED',
    'MEDIA_CORRUPT',
    'MODEL_NOT_LOADED',
    'OVERLOADED',
    'NO_WORKER',
    'DEADLINE_EXCEEDED',
    'IDEMPOTENCY_CONFLICT',
  ],
  examples: [
    { name: 'one picture', status: 200, body: { items: [{ base64: EXAMPLE_PICTURE }] } },
    {
      name: 'a name of your own, on another scale',
      status: 200,
      body: { items: [{ id: 'mine', base64: EXAMPLE_PICTURE }], tasks: ['quality'], scale: 'percent' },
    },
    {
      name: 'one of two is damaged',
      status: 200,
      body: { items: [{ base64: EXAMPLE_PICTURE }, { id: 'damaged', base64: 'AAAA' }] },
    },
    {
      name: 'as they finish',
      status: 200,
      headers: { Accept: NDJSON },
      body: { items: [{ base64: EXAMPLE_PICTURE }, { base64: EXAMPLE_PICTURE }] },
    },
  ],
  async handle(call) {
    checkBeforeReading(call);
    await withOrder(call, ScoreBody, async (order) => {
      const lines = call.req.accepts(['application/json', NDJSON]) === NDJSON;
      if (lines && call.req.get('idempotency-key') === undefined) return stream(call, order);
      const { status, body, replayed } = await answerOnce(call, order, async () =>
        toAnswer(call, await collect(scoreItems(call, order))),
      );
      if (replayed) call.res.set('Idempotency-Replayed', 'true');
      const answer = requireAnswer(body);
      if (lines && status === 200)
        call.res.type(NDJSON).send(answer.items.map((item) => `${JSON.stringify(item)}\n`).join(''));
      else
        call.res
          .status(status)
          .set(status === 503 ? { 'Retry-After': '5' } : {})
          .json(answer);
    });
  },
});

/** With an Idempotency-Key the work is done once. */
export async function answerOnce(
  call: Call,
  order: ScoreOrder,
  work: () => Promise<Remembered>,
): Promise<Remembered & { replayed: boolean }> {
  if (call.req.get('idempotency-key') === undefined) return { ...(await work()), replayed: false };
  return call.services.idempotency.answer(call, await fingerprintOf(call, order), work);
}

function requireAnswer(body: unknown): ScoreAnswer {
  const problem = problemWith(ScoreAnswer, body);
  if (problem !== undefined)
    throw new QalignError('INTERNAL', `The answer of /v1/score does not match its schema at ${problem}.`);
  return body as ScoreAnswer;
}

/** An overloaded service says so before it reads a body. */
export function checkBeforeReading(call: Call): void {
  const { models, admission, config, ending } = call.services;
  if (ending.aborted) throw new QalignError('SHUTTING_DOWN', 'The service is ending; try another or try again later.');
  if (models.loaded.size === 0) models.get();
  const [scorer] = models.loaded.values();
  // which of several models is meant stands in the body
  if (scorer !== undefined && models.loaded.size === 1) admission.check(scorer, config.request_ms);
}

async function stream(call: Call, order: ScoreOrder): Promise<void> {
  const { res } = call;
  for await (const item of scoreItems(call, order)) {
    const problem = problemWith(ScoredInput, item);
    if (problem !== undefined)
      throw new QalignError('INTERNAL', `An item of /v1/score does not match its schema at ${problem}.`);
    if (!res.headersSent) res.status(200).type(NDJSON);
    if (!res.write(`${JSON.stringify(item)}\n`)) await Promise.race([once(res, 'drain'), once(res, 'close')]);
    call.gone.throwIfAborted();
  }
  res.end();
}
