import { QalignError } from '../../base/errors.js';
import { convertDataset, type DatasetManifest } from '../../recipes/data/convert.js';
import { defineCommand } from '../command.js';
import { CONVERSION_FLAGS, readChoices, readSource, SOURCE_FLAGS } from './flags.js';
import { progressLine } from '../terminal/progress.js';
import { asJson } from '../terminal/json.js';

export const convert = defineCommand({
  name: 'dataset convert',
  summary: 'label files to records for training and evaluation',
  args: 'NAME|TABLE|FOLDER',
  description: [
    'NAME is a data set of "qalign dataset list" (or a YAML file like those of configs/datasets) and needs --labels. TABLE is your own',
    'CSV, TSV, JSON, JSONL, XLSX or Parquet file, or the JSON that Q-Align publishes; FOLDER has pictures in sub-folders named after',
    'the levels. --out DIR gets one file a split and dataset.json with the counts and the options; files appear whole or not at all.',
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
    media: { type: 'string', value: 'DIR', help: 'the pictures or clips: every row must have its file there' },
    missing: {
      type: 'string',
      choices: ['error', 'skip'],
      help: 'a row without its file: stop (default), or leave it out and count it',
    },
    'extract-frames': {
      type: 'boolean',
      help: 'write the frames of clips below --out, so that training never decodes them again',
    },
    'frame-size': { type: 'number', value: 'PX', help: 'side of these frames (default: 448)' },
    format: { type: 'string', choices: ['jsonl', 'llava'], help: 'llava: what the published training code reads' },
    out: { type: 'string', short: 'o', value: 'DIR|FILE', help: 'default: all records to stdout' },
    json: { type: 'boolean', help: 'print the summary as JSON' },
  },
  async run({ args, overrides, flags, terminal, signal }) {
    const [dataset, ...more] = args;
    if (dataset === undefined || more.length > 0)
      throw new QalignError(
        'USAGE',
        'qalign dataset convert: name one data set or table; several are mixed afterwards with "qalign dataset sample".',
      );
    if (flags.json && flags.out === undefined)
      throw new QalignError(
        'USAGE',
        'qalign dataset convert: --json prints the summary, and without --out stdout carries the records; name --out.',
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
      terminal.say('qalign: no picture or clip was looked for; add --media DIR to check that they are there.');
    if (flags.out === undefined) return 0;
    await terminal.out(
      flags.json
        ? asJson({ ...manifest, outputs: files })
        : `${[...describeManifest(manifest), ...files.map(({ path, records }) => `${path}  ${records} records`)].join('\n')}\n`,
    );
    return 0;
  },
});

/** A few lines a person reads. */
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
