import { QalignError } from '../../base/errors.js';
import { isFailure, type ScoreResult } from '../../api/result.js';
import { probabilityAbove } from '../../scoring/preference.js';
import type { Caller } from '../http/caller.js';
import { defineRoute } from '../route.js';
import { OTHER_PICTURE } from '../../api/examples.js';
import { EXAMPLE_PICTURE } from '../../media/probe-picture.js';
import { CompareAnswer, CompareBody, RankAnswer, RankBody, SCORE_FORM, type ScoredInput } from '../../api/score.js';
import { collect, scoreItems } from '../score/score-items.js';
import { withScoreRequest } from '../score/score-request.js';
import { answerOnce, checkBeforeReading, SCORE_ERRORS, type ScoreRouteServices } from './score.js';

const PAIR = [
  { id: 'a', base64: EXAMPLE_PICTURE },
  { id: 'b', base64: OTHER_PICTURE },
];

export const compare = defineRoute({
  method: 'post',
  path: '/v1/compare',
  scope: 'score',
  tag: 'scoring',
  summary: 'compare two items: which is better, with a probability',
  description:
    'Takes two items and one task. The probability that the rating of the first is above that of the second follows from their level_probs; swapped items give the complement. The request fails when one of the two cannot be scored.',
  body: { 'application/json': CompareBody, 'multipart/form-data': SCORE_FORM },
  answers: { 200: { description: 'the comparison', schema: CompareAnswer } },
  errors: SCORE_ERRORS,
  examples: [{ name: 'two pictures', status: 200, body: { items: PAIR } }],
  handle: (call, services: ScoreRouteServices) =>
    answerWith(call, CompareBody, services, (items) => {
      if (items.length !== 2)
        throw new QalignError(
          'BODY_INVALID',
          `A comparison takes two items, not ${items.length}; POST /v1/rank takes more.`,
        );
      const [first, second] = items.map(requireResult) as [ScoreResult, ScoreResult];
      const probability = probabilityAbove(first.level_probs, second.level_probs);
      const better = Math.abs(probability - 0.5) < 1e-9 ? 'equal' : probability > 0.5 ? 'first' : 'second';
      return { task: first.task, better, probability, items };
    }),
});

export const rank = defineRoute({
  method: 'post',
  path: '/v1/rank',
  scope: 'score',
  tag: 'scoring',
  summary: 'rank items by score, best first',
  description:
    'Takes one task. Equal scores share a rank. Items that cannot be scored are only in `items`; the request fails when no item can be scored.',
  body: { 'application/json': RankBody, 'multipart/form-data': SCORE_FORM },
  answers: { 200: { description: 'the ranking', schema: RankAnswer } },
  errors: SCORE_ERRORS,
  examples: [
    { name: 'three, one of them damaged', status: 200, body: { items: [...PAIR, { id: 'damaged', base64: 'AAAA' }] } },
  ],
  handle: (call, services: ScoreRouteServices) =>
    answerWith(call, RankBody, services, (items) => {
      const scored = items
        .flatMap((item) => item.results.flatMap((result) => (isFailure(result) ? [] : [{ item, result }])))
        .sort((a, b) => b.result.score - a.result.score);
      if (scored.length === 0) items.forEach(requireResult);
      const ranking = scored.map(({ item, result }, place) => {
        const next = scored[place + 1]?.result;
        const above = next === undefined ? null : probabilityAbove(result.level_probs, next.level_probs);
        return {
          rank: scored.findIndex((other) => other.result.score === result.score) + 1,
          index: item.index,
          input: item.input,
          score: result.score,
          above_next: above,
        };
      });
      return { task: (scored[0] as { result: ScoreResult }).result.task, ranking, items };
    }),
});

/** Scores the items for one task and builds the answer. */
async function answerWith(
  call: Caller,
  schema: typeof CompareBody | typeof RankBody,
  services: ScoreRouteServices,
  make: (items: ScoredInput[]) => object,
): Promise<void> {
  checkBeforeReading(services);
  await withScoreRequest(call, schema, services, async (request) => {
    if ((request.tasks?.length ?? 1) !== 1)
      throw new QalignError('BODY_INVALID', 'A comparison takes one task; send one request for each task.');
    if (request.items.length < 2) throw new QalignError('BODY_INVALID', 'A comparison takes at least two items.');
    const { status, body, replayed } = await answerOnce(call, request, services, async () => {
      const items = (await collect(scoreItems(call, request, services))).sort((a, b) => a.index - b.index);
      return { status: 200, body: make(items) };
    });
    if (replayed) call.res.set('Idempotency-Replayed', 'true');
    call.answer(status, body);
  });
}

/** @throws QalignError the failure of the item */
function requireResult({ input, results }: ScoredInput): ScoreResult {
  const [result] = results;
  if (result !== undefined && !isFailure(result)) return result;
  throw new QalignError(
    (result?.error.code ?? 'INTERNAL') as QalignError['code'],
    `${input}: ${result?.error.message ?? 'it has no result'}`,
  );
}
