import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { EvaluateRecipe } from '../../config/evaluate.js';
import { checkConfig } from '../../config/load.js';
import { chooseModel, DEFAULT_MODEL, supports } from '../../config/models.js';
import { runsRoot } from '../../runs/run-directory.js';
import { localDatasets } from './local-data.js';
import { evaluateRecords } from '../evaluate/evaluate.js';
import type { EvaluatedDataset, EvaluateResult } from '../evaluate/result.js';
import { datasetSection } from '../evaluate/dataset-section.js';
import { modelSentence } from '../evaluate/markdown.js';
import { howToConvert, missingMedia, missingModel, type Missing } from '../evaluate/ready.js';
import { readRecordSet, type RecordSet } from '../evaluate/records.js';
import {
  difference,
  FIGURES_FROM,
  PAPER_MODELS,
  TEST_SETS,
  type PublishedFigure,
  type PaperModel,
} from '../evaluate/published-figures.js';
import type { GridName, ReproducedRow, ReproducedTable, ReproduceOptions } from './table.js';

/** A table of checkpoints (rows) and test sets (columns of the paper). */
interface Grid {
  readonly title: string;
  readonly models: readonly PaperModel[];
  readonly tests: readonly string[];
  /** Also evaluate local pictures, so that the table has rows on any machine. */
  readonly localData: boolean;
}

const { koniq, spaq, kadid, koniqSpaq, iqa, iqaVqa, iqaIaa, vqaIaa, iaa, vqa, oneAlign } = PAPER_MODELS;
const IQA_TESTS = ['koniq', 'spaq', 'kadid', 'livec', 'agiqa', 'live', 'csiq'];
const VQA_TESTS = ['lsvq', 'lsvq-1080p', 'konvid', 'maxwell'];

const GRIDS = {
  table3: {
    title: 'Table 3: IQA, trained on one data set',
    models: [koniq, spaq, kadid],
    tests: IQA_TESTS,
    localData: false,
  },
  table4: {
    title: 'Table 4: IQA, trained on mixed data sets',
    models: [koniqSpaq, iqa],
    tests: IQA_TESTS,
    localData: false,
  },
  table5: { title: 'Table 5: VQA', models: [vqa], tests: VQA_TESTS, localData: false },
  table6: { title: 'Table 6: IAA', models: [iaa], tests: ['ava'], localData: false },
  table7: {
    title: 'Table 7: one model for IQA, IAA and VQA',
    models: [iqa, iaa, vqa, iqaVqa, iqaIaa, vqaIaa, oneAlign],
    tests: [...IQA_TESTS, 'ava', ...VQA_TESTS],
    localData: true,
  },
} as const satisfies Record<GridName, Grid>;

/** The checkpoints, test sets and media of a table that are missing on this machine. */
export async function planGrid(name: GridName, options: ReproduceOptions): Promise<Missing[]> {
  const grid: Grid = GRIDS[name];
  const models = (
    await Promise.all(grid.models.map(async (model) => ((await placeOf(model)) === undefined ? [howToGet(model)] : [])))
  ).flat();
  const tests = await Promise.all(
    grid.tests
      .filter((test) => recordsOf(test, options.data) === undefined)
      .map((test) => howToGetTest(test, options.data)),
  );
  const media = (await testSets(grid.tests, options.data)).flatMap(({ missing }) => missing ?? []);
  return [...models, ...tests, ...media];
}

interface TestSet {
  readonly test: string;
  /** Undefined if all its media are missing. */
  readonly set: RecordSet | undefined;
  readonly missing: Missing | undefined;
  /** Note about the set for readers of the table. */
  readonly note: string | undefined;
}

/** The test sets whose records exist, with their missing media. */
async function testSets(tests: readonly string[], data: string | undefined): Promise<TestSet[]> {
  const found: TestSet[] = [];
  for (const test of tests) {
    const records = recordsOf(test, data);
    if (records === undefined) continue;
    const set = await readRecordSet({ name: test, records, root: null, split: null, role: 'test', paper: null }).catch(
      orDatasetError,
    );
    const title = TEST_SETS[test]!.title;
    const how = await howToConvert(test, `${dirname(records)}/`);
    if (set instanceof QalignError) {
      const missing = { what: `valid records of ${title}: ${set.message}`, how: `create the file again: ${how}` };
      found.push({ test, set: undefined, missing, note: `${title} is left out: ${set.message}` });
      continue;
    }
    const absent = await missingMedia(set);
    if (absent.length === 0) {
      found.push({ test, set, missing: undefined, note: undefined });
      continue;
    }
    const none = absent.length === set.media.length;
    const what = `${absent.length} of ${set.media.length} pictures or clips of ${title}, such as ${absent[0]}`;
    found.push({
      test,
      set: none ? undefined : { ...set, absent: absent.length },
      missing: { what, how: `put them there, or convert again with their folder as --media: ${how}` },
      note: `${what} are missing: ${none ? 'the set is left out' : 'the row uses the others'}.`,
    });
  }
  return found;
}

/** Returns an error of a data set as a value, so that the other sets can be evaluated. */
function orDatasetError(error: unknown): QalignError {
  if (error instanceof QalignError && error.family === 'dataset') return error;
  throw error;
}

/** Rows, notes and sections that are collected while models are measured. */
interface Growing {
  readonly rows: ReproducedRow[];
  readonly notes: string[];
  readonly sections: string[];
  modelFailed: boolean;
}

/** Evaluates all available checkpoints on all available test sets, and also the bundled model or `options.model`. */
export async function reproduceGrid(name: GridName, options: ReproduceOptions): Promise<ReproducedTable> {
  const grid: Grid = GRIDS[name];
  const out = resolve(options.out ?? join('reproduced', name));
  const found = await testSets(grid.tests, options.data);
  const local = grid.localData ? await localDatasets(options, out, options.signal) : { sets: [], notes: [] };
  const all = [...found.flatMap(({ set }) => set ?? []), ...local.sets];
  const table: Growing = { rows: [], notes: found.flatMap(({ note }) => note ?? []), sections: [], modelFailed: false };
  for (const model of grid.models) {
    const place = await placeOf(model);
    const figures: Readonly<Record<string, PublishedFigure>> = model.figures;
    const measured =
      place === undefined ? new Set() : await measureModel(model.name, place, figures, all, out, options, table);
    if (place === undefined && Object.keys(figures).length === 0)
      table.rows.push({
        model: model.name,
        'data set': 'not available, no figures recorded',
        n: null,
        ...blank,
        ...paperColumns(undefined),
      });
    for (const test of grid.tests)
      if (figures[test] !== undefined && !measured.has(test))
        table.rows.push({
          model: model.name,
          'data set': TEST_SETS[test]!.title,
          n: null,
          ...blank,
          ...paperColumns(figures[test]),
        });
  }
  const own = options.model ?? DEFAULT_MODEL;
  await measureModel(options.model === undefined ? `small model (${own})` : own, own, {}, all, out, options, table);
  if (options.model === undefined && all.length > 0)
    table.notes.push(
      `Rows named "small model" are of ${own}, the model that comes with qalign. They are not comparable with the figures of the paper's 8.2-billion-parameter model.`,
    );
  if (all.length === 0) table.notes.push('No test set is on this machine, so only the figures of the paper are shown.');
  table.notes.push(
    ...local.notes,
    `The paper's figures: ${FIGURES_FROM}. Differences are ours minus the paper's. Brackets: 95 % intervals by source image.`,
  );
  return { title: grid.title, ...table };
}

/** Adds the rows of one model, or a note if the model fails. Returns the names of the sets that have a row. */
async function measureModel(
  label: string,
  model: string,
  figures: Readonly<Record<string, PublishedFigure>>,
  all: readonly RecordSet[],
  out: string,
  options: ReproduceOptions,
  table: Growing,
): Promise<Set<string>> {
  const choice = await chooseModel({ model });
  const able = all.filter(({ records }) => records.every(({ task, kind }) => supports(choice, task, kind)));
  const unable = all.filter((set) => !able.includes(set)).map((set) => set.name);
  if (unable.length > 0) table.notes.push(`${label} does not support ${unable.join(', ')}, so they are left out.`);
  const evaluated = await evaluateRest(label, model, able, out, options, table.notes).catch((error: unknown) => {
    if (!isOfModel(error)) throw error;
    table.modelFailed = true;
    table.notes.push(`${label} is left out: ${error.message}`);
    return undefined;
  });
  if (evaluated === undefined) return new Set();
  table.notes.push(`${label}: ${modelSentence(evaluated.result)}`);
  for (const one of evaluated.datasets) {
    const title = `${label}: ${one.result.dataset}`;
    table.rows.push(rowOf(label, one, figures[one.result.dataset]));
    table.sections.push(await datasetSection(one, { title, rule: 'levels', isEnsemble: false }));
  }
  return new Set(evaluated.datasets.map(({ result }) => result.dataset));
}

/** Whether an error affects one model only, so that the others can still be measured. */
const isOfModel = (error: unknown): error is QalignError =>
  error instanceof QalignError &&
  ((error.family === 'worker' && error.code !== 'CANCELLED') ||
    error.code === 'WORKER_LOST' ||
    error.code === 'WORKER_HUNG');

interface Evaluated {
  readonly result: EvaluateResult;
  readonly datasets: readonly EvaluatedDataset[];
}

/** Evaluates the sets. A set with too many failures is left out with a note. */
async function evaluateRest(
  label: string,
  model: string,
  sets: readonly RecordSet[],
  out: string,
  options: ReproduceOptions,
  notes: string[],
): Promise<Evaluated | undefined> {
  if (sets.length === 0) return undefined;
  try {
    return await evaluateOne(label, model, sets, out, options);
  } catch (error) {
    const details = error instanceof QalignError && error.code === 'EVALUATION_FAILED' ? error.details : undefined;
    const rest = sets.filter(({ name }) => name !== details?.['dataset']);
    if (details === undefined || rest.length === sets.length) throw error;
    const { dataset, failed, records } = details as { dataset: string; failed: number; records: number };
    notes.push(
      `${label}: ${dataset} is left out, because ${failed} of its ${records} items failed (see predictions/${dataset}.jsonl). Use --allow-failures ${failed} to evaluate the other items.`,
    );
    return evaluateRest(label, model, rest, out, options, notes);
  }
}

async function evaluateOne(
  label: string,
  model: string,
  sets: readonly RecordSet[],
  out: string,
  options: ReproduceOptions,
): Promise<Evaluated> {
  const name = label
    .replaceAll(/[^A-Za-z0-9.]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .toLowerCase();
  const data = sets.map((set) => ({ name: set.name, records: set.file }));
  const recipe = checkConfig(
    EvaluateRecipe,
    { name, model, device: options.device ?? 'auto', allow_failures: options.allowFailures ?? 0, data },
    label,
  );
  return evaluateRecords(recipe, sets, {
    out: join(out, name),
    command: options.command,
    signal: options.signal,
    log: options.log,
    onEvent: (event) => {
      if (event.event === 'predicting')
        options.onProgress?.(`${label}, ${event.dataset}: ${event.done} of ${event.total}`);
      if (event.event === 'loading') options.onProgress?.(`${label}: ${event.message}`);
    },
  });
}

const blank = { srcc: null, 'srcc 95 %': null, plcc: null, 'plcc 95 %': null, 'plcc logistic': null, krcc: null };

function rowOf(
  label: string,
  { result: { dataset, records, metrics } }: EvaluatedDataset,
  figure: PublishedFigure | undefined,
): ReproducedRow {
  const { srcc, plcc, plcc_logistic, krcc, intervals } = metrics;
  const between = (interval: readonly [number, number] | null): string | null =>
    interval === null ? null : `${interval[0].toFixed(3)}…${interval[1].toFixed(3)}`;
  return {
    model: label,
    'data set': TEST_SETS[dataset]?.title ?? dataset,
    n: metrics.n === records ? metrics.n : `${metrics.n} of ${records}`,
    srcc,
    'srcc 95 %': between(intervals.srcc),
    plcc,
    'plcc 95 %': between(intervals.plcc),
    'plcc logistic': plcc_logistic,
    krcc,
    ...paperColumns(figure),
    'srcc difference': difference(srcc, figure?.srcc),
    'plcc difference': difference(plcc, figure?.plcc),
  };
}

function paperColumns(figure: PublishedFigure | undefined): ReproducedRow {
  return {
    'paper srcc': figure?.srcc ?? null,
    'paper plcc': figure?.plcc ?? null,
    'paper source': figure?.source ?? null,
    'srcc difference': null,
    'plcc difference': null,
  };
}

/** A finished run of the recipe, otherwise the authors' checkpoint in the cache; undefined if both are missing. */
async function placeOf(model: PaperModel): Promise<string | undefined> {
  const run = join(runsRoot(), model.recipe, 'model');
  if (existsSync(join(run, 'config.json'))) return run;
  return model.hub !== null && (await missingModel(model.hub)).length === 0 ? model.hub : undefined;
}

function howToGet(model: PaperModel): Missing {
  const pull = model.hub === null ? '' : `qalign models pull ${model.hub}, or `;
  return { what: `the checkpoint ${model.name}`, how: `${pull}qalign train ${model.recipe}` };
}

function recordsOf(test: string, data: string | undefined): string | undefined {
  const { folders, split } = TEST_SETS[test]!;
  const names = split === 'all' ? ['all', 'test'] : [split];
  return folders
    .flatMap((folder) => names.map((name) => join(data ?? 'data', folder, `${name}.jsonl`)))
    .find((path) => existsSync(path));
}

async function howToGetTest(test: string, data = 'data'): Promise<Missing> {
  const { folders, split, title } = TEST_SETS[test]!;
  return {
    what: `the test set ${title} (${join(data, folders[0]!, `${split}.jsonl`)})`,
    how: await howToConvert(test, `${join(data, folders[0]!)}/`),
  };
}
