import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EvaluateRecipe } from '../../config/evaluate.js';
import type { TrainRecipeInput } from '../../config/recipe-input.generated.js';
import { checkConfig } from '../../config/load.js';
import { chooseModel, DEFAULT_MODEL, type ModelChoice } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import { QalignError } from '../../base/errors.js';
import { renderPrompt } from '../../prompts/render.js';
import { figure } from '../../report/figure.js';
import { row } from '../../report/page.js';
import { lines, scatter } from '../../report/plots.js';
import { LEVELS } from '../../scoring/levels.js';
import { computeMetrics } from '../../scoring/statistics/metrics.js';
import { localDatasets } from './local-data.js';
import { writeWhole } from '../../base/files/whole-file.js';
import { evaluateRecords } from '../evaluate/evaluate.js';
import type { EvaluatedDataset } from '../evaluate/result.js';
import { missingModel, type Missing } from '../evaluate/ready.js';
import { recordSet, type RecordSet } from '../evaluate/records.js';
import { generateAnswers } from '../score/generate.js';
import { difference, PAPER_LEVELS_AGAINST_SCORES } from '../evaluate/published-figures.js';
import type { ReproducedRow, ReproducedTable, ReproduceOptions } from './table.js';
import { train, type TrainResult } from '../train/train.js';

/**
 * Settings for experiments of a minute or two on a CPU. All parameters of an untrained model are trained. In a trained
 * model the encoder is frozen and its features are cached. This leaves time for enough epochs to learn another form of
 * answer.
 */
const FROM_NOTHING = { epochs: 4, learning_rates: { default: 1e-3 } };
const FROM_TRAINED = {
  epochs: 48,
  learning_rates: { default: 1e-3 },
  freeze: ['vision'],
  cache_features: true,
  schedule: 'one_cycle',
  warmup: 0.2,
} as const;

/** Lists what the full experiment of the paper needs, instead of the small one. */
export async function planExperiment(
  recipe: 'koniq' | 'score-text',
  { data = 'data' }: ReproduceOptions,
): Promise<Missing[]> {
  const folder = join(data, recipe === 'koniq' ? 'koniq' : 'koniq-score-text');
  const convert = `qalign dataset convert koniq10k --labels DIR --media DIR --out ${folder}/${recipe === 'koniq' ? '' : ' --score-text'}`;
  const records = {
    what: `the paper's training data (${join(folder, 'train.jsonl')})`,
    how: `download the pictures of KonIQ-10k ("qalign dataset list" names the source), run ${convert}, then on a large GPU: qalign train ${recipe}`,
  };
  return [...(await missingModel('mplug-owl2')), ...(existsSync(join(folder, 'train.jsonl')) ? [] : [records])];
}

/** Measures how many epochs the training needs: one run, evaluated before the first step and after every epoch. */
export async function table8(options: ReproduceOptions): Promise<ReproducedTable> {
  const setting = await prepare(options, 'table8');
  const found: { step: number; srcc: number | null; plcc: number | null; items: number }[] = [];
  const before = (await evaluateOn(setting, 'before', setting.choice.model, join(setting.out, 'before'), options))
    .result.metrics;
  let perEpoch = 1;
  await run(setting, 'levels', setting.train.file, { dev: [setting.test.file] }, options, (event) => {
    if (event.event === 'started') perEpoch = event.steps_per_epoch;
    if (event.event === 'evaluation') found.push(event);
  });
  const rows = [
    { epoch: 0, step: 0, n: before.n, srcc: before.srcc, plcc: before.plcc },
    ...found.map(({ step, srcc, plcc, items }) => ({ epoch: Math.round(step / perEpoch), step, n: items, srcc, plcc })),
  ];
  const best = Math.max(...rows.map(({ srcc }) => srcc ?? -1));
  const first = rows.find(({ srcc }) => (srcc ?? -1) >= best - 0.01);
  const plot = lines({
    series: [
      { name: 'SRCC', points: pointsOf(rows, 'srcc') },
      { name: 'PLCC', points: pointsOf(rows, 'plcc') },
    ],
    xLabel: 'epoch',
    yLabel: 'correlation (−1 to 1)',
  });
  const within =
    first === undefined
      ? []
      : [
          `SRCC is within 0.01 of its best value ${first.epoch === 0 ? 'before the first step, so this training does not improve the model' : `after epoch ${first.epoch}`}.`,
        ];
  return {
    title: 'Table 8: epochs to converge',
    rows,
    notes: [
      ...setting.notes,
      'Epoch 0 is the model before its first step.',
      ...within,
      "The paper's figures are not recorded here.",
    ],
    sections: [
      figure(
        plot,
        `${setting.model} trained on ${setting.train.records.length} records, measured on ${setting.test.records.length}.`,
      ),
    ],
  };
}

/**
 * Compares levels with scores. The same model is trained to answer with a level and with a number, on the same items
 * and for the same time.
 */
export async function table11(options: ReproduceOptions): Promise<ReproducedTable> {
  const setting = await prepare(options, 'table11');
  const { test, train: training } = setting;
  const levels = await run(setting, 'levels', training.file, {}, options);
  const { rows: predicted, table } = (
    await evaluateOn(setting, 'levels', join(levels.folder, 'model'), join(levels.folder, 'evaluation'), options)
  ).predictions;
  const hard = Float64Array.from(predicted.index, (row) => LEVELS.length - table.level[row]!);
  const numbers = await writeRecords(join(setting.out, 'records', 'train-scores.jsonl'), training, (record) => ({
    ...record,
    answer: `The quality of the image is ${record.mos.toFixed(2)}.`,
  }));
  const scores = await run(setting, 'scores', numbers, { score_text: true }, options);
  const prompt = renderPrompt(await loadPrompt('default'), 'quality', 'image');
  const { answers } = await generateAnswers(test.media, prompt, {
    model: join(scores.folder, 'model'),
    device: 'cpu',
    maxNewTokens: 8,
    signal: options.signal,
    log: options.log,
    onProgress: (done, total) => options.onProgress?.(`scores as text: ${done} of ${total}`),
  });
  const read = answers.map(({ text }) => Number(/^\s*(\d+(\.\d+)?)/.exec(text)?.[1] ?? Number.NaN));
  const readable = read.flatMap((score, i) => (Number.isFinite(score) ? [i] : []));
  const everything = [...test.records.keys()];
  const rows = [
    rowOf(
      test,
      'levels, weighted sum (Eq. 4)',
      everything,
      (i) => predicted.scores[i]!,
      PAPER_LEVELS_AGAINST_SCORES.levels,
    ),
    rowOf(test, 'levels, the most probable', everything, (i) => hard[i]!, null),
    rowOf(test, 'scores, the generated number', readable, (i) => read[i]!, PAPER_LEVELS_AGAINST_SCORES.scores),
  ];
  const headStart = setting.choice.untrained
    ? []
    : [
        `Both trainings start from the weights of ${setting.model}, which were trained on levels. This gives the rows of levels an advantage over the row of scores.`,
      ];
  return {
    title: 'Table 11: levels against scores',
    rows,
    notes: [
      ...setting.notes,
      ...headStart,
      ...unreadNote(answers, readable),
      "The paper's figures are of mPLUG-Owl2 trained on KonIQ-10k and tested on KADID-10k. Model and data differ, so the figures are not comparable.",
    ],
    sections: [
      row(
        cloud(test, 'Trained on levels, weighted sum.', everything, (i) => predicted.scores[i]!, 'score (1–5)'),
        cloud(
          test,
          'Trained on scores as text.',
          readable,
          (i) => read[i]!,
          'score in the generated text (trained on 1–5)',
        ),
      ),
    ],
  };
}

/** A row of table 11: the metrics of some items of a set, beside the figure of the paper. */
function rowOf(
  { records }: RecordSet,
  name: string,
  items: readonly number[],
  scoreOf: (i: number) => number,
  paper: number | null,
): ReproducedRow {
  const {
    n,
    srcc,
    plcc,
    krcc,
    mean_correlation: mean,
    intervals,
  } = computeMetrics({
    scores: items.map(scoreOf),
    mos: items.map((i) => records[i]!.mos),
    groups: items.map((i) => records[i]!.group ?? records[i]!.id),
  });
  const srccInterval = intervals.srcc;
  return {
    'trained on, read as': name,
    n: n === records.length ? n : `${n} of ${records.length}`,
    srcc,
    'srcc 95 %': srccInterval === null ? null : `${srccInterval[0].toFixed(3)}…${srccInterval[1].toFixed(3)}`,
    plcc,
    krcc,
    '(srcc+plcc)/2': mean,
    'paper (srcc+plcc)/2': paper,
    difference: difference(mean, paper),
  };
}

function cloud(
  { records }: RecordSet,
  title: string,
  items: readonly number[],
  scoreOf: (i: number) => number,
  xLabel: string,
): string {
  const points = items.map((i) => ({ x: scoreOf(i), y: records[i]!.mos, label: records[i]!.id }));
  return figure(scatter({ points, xLabel, yLabel: '"MOS" of the series (1–5)' }), title);
}

/**
 * A note about answers without a number.
 * @param readable indices of the answers with a number
 */
function unreadNote(answers: readonly { readonly text: string }[], readable: readonly number[]): string[] {
  if (readable.length === answers.length) return [];
  const sample = answers.find((_, i) => !readable.includes(i))?.text.slice(0, 40);
  return [
    `${answers.length - readable.length} of ${answers.length} answers of the model trained on scores have no number (such as ${JSON.stringify(sample)}); ${readable.length === 0 ? 'its row is empty' : 'its row uses the others'}.`,
  ];
}

interface Setting {
  readonly out: string;
  readonly model: string;
  readonly choice: ModelChoice;
  readonly train: RecordSet;
  readonly test: RecordSet;
  readonly notes: readonly string[];
}

/** Prepares the generated series. It is split by source picture if there are at least three of them. */
async function prepare(options: ReproduceOptions, table: string): Promise<Setting> {
  const model = options.model ?? DEFAULT_MODEL;
  const choice = await chooseModel({ model });
  if (!existsSync(join(choice.model, 'config.json')))
    throw new QalignError(
      'EVALUATION_NOT_READY',
      `${table} trains a model from a folder, but ${model} is not a folder; use --model with a folder, or omit it for the small model.`,
    );
  const out = resolve(options.out ?? join('reproduced', table));
  const { sets } = await localDatasets({ media: options.media }, out, options.signal);
  const all = sets.find(({ name }) => name === 'series')!;
  const groups = [...new Set(all.records.map(({ group }) => group))];
  const held = new Set(groups.length < 3 ? groups : groups.slice(-Math.ceil(groups.length / 3)));
  const learned = groups.length < 3 ? new Set(groups) : new Set(groups.filter((group) => !held.has(group)));
  const part = async (name: string, chosen: ReadonlySet<string | undefined>): Promise<RecordSet> => {
    const file = join(out, 'records', `${name}.jsonl`);
    const indices = [...all.records.keys()].filter((i) => chosen.has(all.records[i]!.group));
    const records = indices.map((i) => ({ ...all.records[i]!, media: all.media[i]! }));
    await writeWhole(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    return recordSet('series', file, records, out);
  };
  const [training, test] = [await part('train', learned), await part('test', held)];
  const same =
    groups.length < 3
      ? 'the same pictures, because there are too few for a test set; this shows that the software runs, but not how the model generalises'
      : `${held.size} other pictures and their distortions`;
  const notes = [
    `A small experiment on this machine: ${model}${choice.untrained ? ' (UNTRAINED at the start)' : ''}, ${(choice.untrained ? FROM_NOTHING : FROM_TRAINED).epochs} epochs on ${training.records.length} pictures (distortions of ${learned.size}), measured on ${same}.`,
    'The "MOS" is 5 − 4 · strength of the distortion, not a human rating. The figures are of this small model and small data. The paper trained 8.2 billion parameters on its data sets (configs/train has the recipes).',
  ];
  return { out, model, choice, train: training, test, notes };
}

async function evaluateOn(
  { test }: Setting,
  name: string,
  model: string,
  out: string,
  options: ReproduceOptions,
): Promise<EvaluatedDataset> {
  const recipe = checkConfig(
    EvaluateRecipe,
    { name, model, prompt: 'default', device: 'cpu', data: [{ name: test.name, records: test.file }] },
    'the recipe',
  );
  const { datasets } = await evaluateRecords(recipe, [test], {
    out,
    signal: options.signal,
    log: options.log,
    onEvent: (event) =>
      event.event === 'predicting' ? options.onProgress?.(`${name}: ${event.done} of ${event.total}`) : undefined,
  });
  return datasets[0]!;
}

async function writeRecords(
  path: string,
  set: RecordSet,
  change: (record: RecordSet['records'][number]) => RecordSet['records'][number],
): Promise<string> {
  await writeWhole(path, set.records.map((record) => `${JSON.stringify(change(record))}\n`).join(''));
  return path;
}

async function run(
  setting: Setting,
  name: string,
  file: string,
  change: { dev?: string[]; score_text?: boolean },
  options: ReproduceOptions,
  onEvent: NonNullable<Parameters<typeof train>[1]>['onEvent'] = () => {},
): Promise<TrainResult> {
  const { dev = [], ...rest } = change;
  const recipe: TrainRecipeInput = {
    name,
    model: setting.choice.model,
    data: { train: [file], dev, max_frames: 1 },
    prompts: ['default'],
    batch_size: 8,
    micro_batch: 8,
    recompute: false,
    device: 'cpu',
    save_every: 100_000,
    ...(setting.choice.untrained ? FROM_NOTHING : FROM_TRAINED),
    ...rest,
  };
  const result = await train(recipe, {
    runs: join(setting.out, 'runs'),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onEvent: (event) => {
      if (event.event === 'step') options.onProgress?.(`training on ${name}: step ${event.step}`);
      onEvent(event);
    },
  });
  if (result.status !== 'completed')
    throw new QalignError('CANCELLED', `Training on ${name} was stopped at step ${result.step}.`);
  return result;
}

const pointsOf = (
  rows: readonly { epoch: number; srcc: number | null; plcc: number | null }[],
  key: 'srcc' | 'plcc',
): { x: number; y: number }[] => rows.flatMap((row) => (row[key] === null ? [] : [{ x: row.epoch, y: row[key] }]));
