import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { convertDataset } from '../../recipes/data/convert.js';
import { jsonBeside, reportDataset, writeReport } from '../../recipes/data/report.js';
import { missingSentence, type DatasetReport } from '../../report/dataset-page.js';
import { defineCommand } from '../command.js';
import { CONVERSION_FLAGS, readChoices, readSource, SOURCE_FLAGS } from './flags.js';
import { progressLine } from '../terminal/progress.js';
import { asJson } from '../terminal/json.js';
import { reasonOf } from '../../base/files/reason.js';

export const report = defineCommand({
  name: 'dataset report',
  summary: 'describe a data set as an HTML page and as JSON',
  args: 'RECORDS…|NAME',
  description:
    'RECORDS are .jsonl files of "dataset convert". NAME with --labels is first converted as by "dataset convert". Shows ten pictures of each level, if they are found. With --media, also checks every picture or clip; the exit code is 1 if none could be opened.',
  examples: [
    'qalign dataset report data/koniq/train.jsonl data/koniq/test.jsonl --out koniq.html',
    'qalign dataset report spaq --labels labels/ --media spaq/ --out spaq.html',
  ],
  overrides: true,
  flags: {
    ...SOURCE_FLAGS,
    ...CONVERSION_FLAGS,
    media: {
      type: 'string',
      value: 'DIR|-',
      help: 'open every picture or clip, below DIR; -: use the paths of the records',
    },
    out: { type: 'string', short: 'o', value: 'FILE.html', help: 'HTML page to write; the JSON is written beside it' },
    json: { type: 'boolean', help: 'print the JSON' },
  },
  async run({ args, overrides, flags, line, terminal, signal }) {
    if (args.length === 0)
      throw new QalignError('USAGE', 'qalign dataset report: name files of records, or a data set with --labels.');
    if (flags.out === undefined && !flags.json)
      throw new QalignError('USAGE', 'qalign dataset report: name a page with --out, or print the JSON with --json.');
    if (flags.out !== undefined && !/\.html?$/i.test(flags.out))
      throw new QalignError('USAGE', `qalign dataset report: --out ${flags.out} must end in .html.`);
    let started: number | undefined;
    const onProgress = (done: number, total: number): void => {
      started ??= performance.now(); // excludes the time of the conversion
      terminal.progress(progressLine({ done, failed: 0, total, elapsedMs: performance.now() - started }));
    };
    const areRecords =
      args.every((arg) => arg.endsWith('.jsonl')) && flags.labels === undefined && flags['image-column'] === undefined;
    const folder = areRecords
      ? undefined
      : await guardWrite(
          () => mkdtemp(join(tmpdir(), 'qalign-report-')),
          (error) =>
            `A temporary folder cannot be created in ${tmpdir()} (${reasonOf(error)}); set TMPDIR to a writable folder.`,
        );
    try {
      if (folder !== undefined) {
        if (args.length > 1)
          throw new QalignError(
            'USAGE',
            'qalign dataset report: name one data set, or files of records that end in .jsonl.',
          );
        await convertDataset({
          ...readSource(args[0]!, overrides, flags),
          ...readChoices(flags),
          media: flags.media,
          missing: 'keep',
          out: join(folder, 'all.jsonl'),
          signal,
          onProgress: (written) => terminal.progress(`converting: ${written} records`),
        });
      }
      const result = await reportDataset({
        records: folder === undefined ? args : [join(folder, 'all.jsonl')],
        media: flags.media === undefined ? undefined : folder !== undefined || flags.media === '-' ? true : flags.media,
        command: line,
        data: flags.out === undefined ? undefined : basename(jsonBeside(flags.out)),
        signal,
        onProgress,
      });
      terminal.progress(undefined);
      const files = flags.out === undefined ? [] : await writeReport(result, flags.out);
      await terminal.out(flags.json ? asJson(result.report) : `${files.join('\n')}\n`);
      const { media } = result.report;
      for (const text of summaryOf(result.report)) terminal.say(`qalign: ${text}`);
      return media !== null && media.checked > 0 && media.missing.length + media.corrupt.length >= media.checked
        ? 1
        : 0;
    } finally {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    }
  },
});

/** The most important facts of the page, for the terminal. */
function summaryOf({ n, splits, media }: DatasetReport): string[] {
  const parts = Object.entries(splits).map(([name, split]) => `${name} ${split.n}`);
  const said = [`${n} records: ${parts.join(', ')}`];
  if (media === null) return said;
  if (media.missing.length > 0) said.push(missingSentence(media));
  if (media.corrupt.length > 0)
    said.push(
      `${media.corrupt.length} of ${media.checked} media files are damaged, for example that of ${media.corrupt[0]!.id}: ${media.corrupt[0]!.message}`,
    );
  return said;
}
