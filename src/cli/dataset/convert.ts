import { QalignError } from '../../base/errors.js';
import { convertDataset, type DatasetManifest } from '../../recipes/data/convert.js';
import { defineCommand } from '../command.js';
import { CONVERSION_FLAGS, readChoices, readSource, SOURCE_FLAGS } from './flags.js';
import { progressLine } from '../terminal/progress.js';
import { asJson } from '../terminal/json.js';

export const convert = defineCommand({
  name: 'dataset convert',
  summary: 'convert label files to records for training and evaluation',
  args: 'NAME|TABLE|FOLDER',
  description: [
    'NAME is a data set of "qalign dataset list", or a YAML file like those of configs/datasets, and needs --labels.',
    'TABLE is your own CSV, TSV, JSON, JSONL, XLSX or Parquet file, or the JSON that Q-Align publishes. FOLDER contains pictures in sub-folders named after the levels.',
    'Writes one file for each split to --out DIR, and dataset.json with the counts and options. A file appears complete or not at all.',
  ].join('\n'),
  examples: [
    'qalign dataset convert koniq10k --labels labels/ --out data/koniq',
    'qalign dataset convert ratings.csv --image-column file --score-column mos --range 0,100 --media photos/ --out data/own',
    'qalign dataset convert kadid10k --labels labels/ --format llava --out train_kadid/',
  ],
  overrides: true,
  flags: {
    ...SOURCE_FLAGS,
    ...CONVERSION_FLAGS,
    media: {
      type: 'string',
      value: 'DIR',
      help: 'folder of the pictures or clips; checks that each row has its file there',
    },
    missing: {
      type: 'string',
      choices: ['error', 'skip'],
      help: 'with --media, for a row without its file; error: stop (default), skip: leave the row out and count it',
    },
    'extract-frames': {
      type: 'boolean',
      help: 'write the frames of clips below --out, so that training does not decode the clips',
    },
    'frame-size': { type: 'number', value: 'PX', help: 'side of these frames in pixels (default: 448)' },
    format: {
      type: 'string',
      choices: ['jsonl', 'llava'],
      help: 'output format; llava: the format of the published training code (default: jsonl)',
    },
    out: {
      type: 'string',
      short: 'o',
      value: 'DIR|FILE',
      help: 'folder with one file for each split, or one file for all records (default: stdout)',
    },
    json: { type: 'boolean', help: 'print the summary as JSON' },
  },
  async run({ args, overrides, flags, terminal, signal }) {
    const [dataset, ...more] = args;
    if (dataset === undefined || more.length > 0)
      throw new QalignError(
        'USAGE',
        'qalign dataset convert: name one data set or table; to mix several, use "qalign dataset sample" afterwards.',
      );
    if (flags.json && flags.out === undefined)
      throw new QalignError(
        'USAGE',
        'qalign dataset convert: --json needs --out, because without --out the records are written to stdout.',
      );
    const started = performance.now();
    const { manifest, files } = await convertDataset({
      ...readSource(dataset, overrides, flags),
      ...readChoices(flags),
      media: flags.media,
      missing: flags.missing as 'error' | 'skip' | undefined,
      extractFrames: flags['extract-frames'],
      frameSize: flags['frame-size'],
      onClip: (done, total) =>
        terminal.progress(progressLine({ done, failed: 0, total, elapsedMs: performance.now() - started })),
      format: flags.format as 'jsonl' | 'llava' | undefined,
      out: flags.out ?? ((text) => terminal.out(text)),
      signal,
      onProgress: (written) => terminal.progress(`${written} records`),
    });
    terminal.progress(undefined);
    if (flags.media === undefined)
      terminal.say('qalign: pictures and clips were not checked; add --media DIR to check that they exist.');
    if (flags.out === undefined) return 0;
    await terminal.out(
      flags.json
        ? asJson({ ...manifest, outputs: files })
        : `${[...describeManifest(manifest), ...files.map(({ path, records }) => `${path}  ${records} records`)].join('\n')}\n`,
    );
    return 0;
  },
});

/** The manifest as a few lines of text. */
function describeManifest(manifest: DatasetManifest): string[] {
  const figure = (value: number | null): string => (value === null ? '–' : value.toFixed(3));
  const lines = [
    `${manifest.title}: ${manifest.n} records of ${manifest.n_all} rows (source ${manifest.source}: ${manifest.files.join(', ')})`,
    `soft labels: ${manifest.soft_labels}; licence: ${manifest.licence}`,
  ];
  for (const [split, found] of Object.entries(manifest.splits)) {
    const dropped = [
      found.dropped_outside > 0 ? `${found.dropped_outside} outside the range` : '',
      found.dropped_media > 0 ? `${found.dropped_media} without media` : '',
    ]
      .filter((text) => text !== '')
      .join(', ');
    lines.push(
      `${split}: ${found.n}${dropped === '' ? '' : ` (${dropped} left out)`}, range ${found.range.map((end) => Number(end.toPrecision(8))).join(' to ')}, ` +
        `${Object.entries(found.levels)
          .map(([level, count]) => `${level} ${count}`)
          .join(', ')}; levels against MOS: SRCC ${figure(found.srcc)}, PLCC ${figure(found.plcc)}`,
    );
  }
  return lines;
}
