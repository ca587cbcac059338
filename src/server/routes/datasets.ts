import { realpath } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { convertDataset, type ConvertOptions, type ConvertResult } from '../../recipes/data/convert.js';
import { listDatasets as listAll } from '../../recipes/data/list.js';
import { fileRules, holdOutputInRoot, readReach, resolveInRoot, type FileRules } from '../http/path-root.js';
import { errorWithoutPath, type Redactor } from '../http/redact-paths.js';
import { defineRoute } from '../route.js';
import type { ServeConfig } from '../../config/serve.js';
import { ConvertAnswer, ConvertBody, DatasetList } from '../../api/datasets.js';
import { readJson } from '../http/json-body.js';
import type { SharedMemory } from '../http/memory-budget.js';

export interface DatasetRouteServices extends Pick<Redactor, 'redactError'> {
  readonly config: ServeConfig;
  readonly memory: SharedMemory;
}

export const listDatasets = defineRoute({
  method: 'get',
  path: '/v1/datasets',
  scope: 'any',
  tag: 'datasets',
  summary: 'data sets with a description',
  answers: { 200: { description: 'the data sets, with the label files that each needs', schema: DatasetList } },
  examples: [{ name: 'all', status: 200 }],
  handle: async (call) => call.answer(200, { datasets: await listAll() }),
});

export const convertDatasets = defineRoute({
  method: 'post',
  path: '/v1/datasets/convert',
  scope: 'train',
  tag: 'datasets',
  summary: 'convert label files to records for training and evaluation',
  description:
    'Works like "qalign dataset convert". All files are read and written below the root, and appear complete or not at all. The answer follows when they are written.',
  body: { 'application/json': ConvertBody },
  answers: { 200: { description: 'what was written', schema: ConvertAnswer } },
  errors: [
    'BODY_INVALID',
    'BODY_TOO_LARGE',
    'BODY_UNSUPPORTED',
    'MALFORMED',
    'PATH_FORBIDDEN',
    'MEDIA_NOT_FOUND',
    'CONFIG_NOT_FOUND',
    'DATASET_NOT_FOUND',
    'DATASET_UNREADABLE',
    'DATASET_COLUMNS',
    'DATASET_VALUE',
    'DATASET_MEDIA_MISSING',
    'OUTPUT_UNWRITABLE',
  ],
  examples: [{ name: 'a table outside the root', status: 403, body: { table: '../ratings.csv', out: 'records' } }],
  async handle(call, services: DatasetRouteServices) {
    const { config, redactError } = services;
    const { root } = config;
    const files = fileRules(config);
    const {
      dataset,
      labels,
      table,
      own,
      media,
      out,
      soft_labels: softLabels,
      ...choices
    } = await readJson(call, ConvertBody, services);
    if ((table === undefined) === (dataset === undefined) || (dataset === undefined) !== (labels === undefined))
      throw new QalignError('BODY_INVALID', 'A conversion needs table, or dataset and labels.');
    const options: Omit<ConvertOptions, 'out'> = {
      ...choices,
      softLabels,
      dataset: dataset ?? (await resolveInRoot(files, table ?? '', 'either')),
      labels: labels === undefined ? undefined : await resolveInRoot(files, labels, 'either'),
      media: media === undefined ? undefined : await resolveInRoot(files, media, 'folder'),
      own:
        own === undefined
          ? undefined
          : {
              name: own.name,
              kind: own.kind,
              task: own.task,
              scale: own.scale,
              lowerIsBetter: own.lower_is_better,
              imageColumn: own.image_column,
              scoreColumn: own.score_column,
              stdColumn: own.std_column,
              splitColumn: own.split_column,
              groupColumn: own.group_column,
            },
      within: await readReach(files),
      signal: call.gone,
    };
    const { manifest, files: written } = await convertInto(out, files, options).catch(redactError);
    const top = await realpath(root ?? '');
    const { title, source, licence, kind, task, n_all, n, srcc, plcc, soft_labels, splits } = manifest;
    call.answer(200, {
      dataset: manifest.dataset,
      title,
      source,
      licence,
      kind,
      task,
      n_all,
      n,
      srcc,
      plcc,
      soft_labels,
      splits,
      outputs: written.map(({ path, records }) => ({ path: relative(top, path), records })),
    });
  },
});

/** Converts into an opened folder. The result and error messages contain the path below the root instead. */
async function convertInto(
  out: string,
  rules: FileRules,
  options: Omit<ConvertOptions, 'out'>,
): Promise<ConvertResult> {
  const isFile = ['.json', '.jsonl'].includes(extname(out).toLowerCase());
  const { path, name, close } = await holdOutputInRoot(rules, out, isFile ? 'file' : 'folder');
  try {
    const { manifest, files } = await convertDataset({ ...options, out: path, outName: name });
    return { manifest, files: files.map((file) => ({ ...file, path: join(name, relative(path, file.path)) })) };
  } catch (error) {
    throw errorWithoutPath(error, path, name);
  } finally {
    await close();
  }
}
