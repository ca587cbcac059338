import { join, resolve } from 'node:path';
import { makeFolder } from '../base/files/unwritable.js';
import { QalignError } from '../base/errors.js';
import { describeMissing } from '../recipes/evaluate/ready.js';

import { planTable, reproduce as run, TABLES } from '../recipes/reproduce/index.js';
import { cellsOf, tableMarkdown, writeReproduced } from '../recipes/reproduce/report.js';
import { defineCommand } from './command.js';
import { wrap } from './terminal/fold.js';
import { fittedTable } from './terminal/table.js';
import { asJson } from './terminal/json.js';

export const reproduce = defineCommand({
  name: 'reproduce',
  summary: "compute a table of the paper and print it beside the paper's figures",
  args: Object.keys(TABLES).join('|'),
  description: `${Object.entries(TABLES)
    .map(
      ([name, { summary, needs }]) =>
        `${name}: ${summary}${needs.length === 0 ? '' : ` (needs ${needs.map((need) => `--${need}`).join(', ')})`}`,
    )
    .join(
      '\n',
    )}\nFirst reports what is missing on this machine and how to get it, then computes the rest of the table. With --out, also writes Markdown, JSON and a page with plots. Exit code 1 if a model could not be used; the rest of the table is still printed.`,
  examples: [
    'qalign reproduce table2 --labels labels/',
    'qalign reproduce table7 --media pictures/ --out table7/',
    'qalign reproduce table7 --plan',
  ],
  interrupted: 'run the same command to continue; it keeps the predictions written so far',
  flags: {
    plan: { type: 'boolean', help: 'report what is missing on this machine and how to get it, without computing' },
    labels: { type: 'string', value: 'DIR', help: 'folder of the published label files' },
    data: { type: 'string', value: 'DIR', help: 'folder of the records, <dataset>/<split>.jsonl (default: data/)' },
    media: {
      type: 'string',
      value: 'DIR',
      help: 'folder of local pictures and clips to use instead of missing data sets (default: the samples that come with qalign)',
    },
    model: { type: 'string', value: 'NAME|DIR|ID', help: 'model to evaluate (default: nano)' },
    'allow-failures': {
      type: 'number',
      value: 'N',
      help: 'tables 3 to 7: maximum number of failed items per data set, not counting missing files (default: 0)',
    },
    device: { type: 'string', value: 'auto|cpu|cuda:N', help: 'device to run on (default: auto)' },
    out: {
      type: 'string',
      short: 'o',
      value: 'DIR',
      help: 'folder for predictions and reports: TABLE.md, TABLE.json, report.html (default: reproduced/TABLE)',
    },
    format: {
      type: 'string',
      choices: ['text', 'markdown', 'json'],
      help: 'format of the printed table (default: text)',
    },
  },
  async run({ args, flags, line, terminal, signal, log }) {
    const [name, ...more] = args;
    if (name === undefined || more.length > 0)
      throw new QalignError('USAGE', `qalign reproduce: name one table of ${Object.keys(TABLES).join(', ')}.`);
    const missing = await planTable(name, flags);
    if (flags.plan) {
      await terminal.out(
        flags.format === 'json'
          ? `${JSON.stringify({ ready: missing.length === 0, missing })}\n`
          : `${missing.length === 0 ? 'nothing is missing' : describeMissing(missing)}\n`,
      );
      return missing.length === 0 ? 0 : 1;
    }
    for (const { what, how } of missing) terminal.say(`missing: ${what}; to get it: ${how}`);
    const out = resolve(flags.out ?? join('reproduced', name));
    try {
      const table = await run(name, {
        ...flags,
        allowFailures: flags['allow-failures'],
        out,
        command: line,
        signal,
        log,
        onProgress: (message) => terminal.progress(message),
      });
      terminal.progress(undefined);
      const { title, rows, notes } = table;
      if (flags.out !== undefined || table.sections !== undefined) {
        await makeFolder(out, 'name another with --out');
        await writeReproduced(out, name, table, missing, { ...flags, command: line });
        terminal.say(`qalign: ${join(out, 'report.html')}`);
      }
      if (flags.format === 'json') await terminal.out(asJson({ title, rows, notes, missing }));
      else if (flags.format === 'markdown') await terminal.out(tableMarkdown(table));
      else {
        const { columns, paint } = terminal;
        await terminal.out(
          `${[...wrap(title, columns), '', ...fittedTable(cellsOf(table), columns, paint)].join('\n')}\n`,
        );
        for (const note of notes) terminal.say(note);
      }
      return table.modelFailed === true ? 1 : 0;
    } finally {
      terminal.progress(undefined);
    }
  },
});
