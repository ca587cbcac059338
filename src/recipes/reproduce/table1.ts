import { basename } from 'node:path';
import { DEFAULT_MODEL } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import { answerKind, type AnswerKind } from '../../prompts/answer-kind.js';
import { renderPrompt } from '../../prompts/render.js';
import { foldRepetition } from '../../report/fold.js';
import { heading, table as htmlTable } from '../../report/page.js';
import { generateAnswers } from '../score/generate.js';
import { readablePictures } from './pictures.js';
import { missingModel, type Missing } from '../evaluate/ready.js';
import type { ReproducedTable, ReproduceOptions } from './table.js';

const MOST_PICTURES = 50;
const MOST_TOKENS = 48;
const BASE_MODEL = 'mplug-owl2';

export async function planTable1(options: ReproduceOptions): Promise<Missing[]> {
  return missingModel(options.model ?? BASE_MODEL);
}

/** Counts how a model answers a request to rate: with adjectives or with numbers. Answers are generated greedily. */
export async function table1(options: ReproduceOptions): Promise<ReproducedTable> {
  const { pictures, notes: leftOut } = await readablePictures(options.media, MOST_PICTURES);
  const baseIsHere = (await missingModel(BASE_MODEL)).length === 0;
  const model = options.model ?? (baseIsHere ? BASE_MODEL : DEFAULT_MODEL);
  const prompt = renderPrompt(await loadPrompt('open-rating'), 'quality', 'image');
  const { answers, choice, precision, device } = await generateAnswers(pictures, prompt, {
    model,
    device: options.device,
    log: options.log,
    signal: options.signal,
    maxNewTokens: MOST_TOKENS,
    onProgress: (done, total) => options.onProgress?.(`${done} of ${total} answers`),
  });
  const kinds = answers.map(({ text }) => answerKind(text));
  const count = (kind: AnswerKind): number => kinds.filter((one) => one === kind).length;
  const share = (kind: AnswerKind): string => `${((100 * count(kind)) / kinds.length).toFixed(1)} %`;
  const row = {
    model,
    n: answers.length,
    adjectives: share('adjective'),
    numbers: share('number'),
    both: share('both'),
    neither: share('neither'),
    'ended by itself': answers.filter(({ finished }) => finished).length,
  };
  const whose = choice.untrained
    ? ' It is UNTRAINED: its answers are noise.'
    : model === DEFAULT_MODEL
      ? ' It is the small model that comes with qalign and was trained on one sentence. The paper used large models that were trained for conversation.'
      : '';
  const notes = [
    `Prompt ${JSON.stringify(prompt)}, greedy decoding, at most ${MOST_TOKENS} tokens; ${precision} on ${device}.${whose}`,
    "An answer with a rating word counts as adjectives, an answer with a figure as numbers. The paper's shares are not recorded here.",
    ...leftOut,
  ];
  const sections = [
    `${heading(2, 'Answers')}${htmlTable(
      ['picture', 'answer', 'kind'],
      answers.map(({ picture, text }, i) => [basename(picture), foldRepetition(text), kinds[i]!]),
    )}`,
  ];
  return { title: 'Table 1: how models answer a request to rate', rows: [row], notes, sections };
}
