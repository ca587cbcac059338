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
    )}\nWhat is missing is said before anything runs, with how to get it; what can run, runs. With --out also as Markdown, JSON and a page with plots. Exit code 1 where a model could not be used; the rest of the table is there.`,
  examples: [
    'qalign reproduce table2 --labels labels/',
    'qalign reproduce table7 --media pictures/ --out table7/',
    'qalign reproduce table7 --plan',
  ],
  interrupted: 'the same command continues; predictions that are written are kept',
  flags: {
    plan: { type: 'boolean', help: 'only say what is missing on this machine and how to get it' },
    labels: { type: 'string', value: 'DIR', help: 'the published label files' },
    data: { type: 'string', value: 'DIR', help: 'records, <dataset>/<split>.jsonl (default data/)' },
    media: {
      type: 'string',
      value: 'DIR',
      help: 'pictures and clips at hand, where the data sets are not (default: the samples that come with qalign)',
    },
    model: { type: 'string', value: 'NAME|DIR|ID', help: 'the model to evaluate (default: the one that is embedded)' },
    'allow-failures': {
      type: 'number',
      value: 'N',
      help: 'tables 3 to 7: so many items of a data set may fail (default 0); missing pictures stop nothing',
    },
    device: { type: 'string', value: 'auto|cpu|cuda:N', help: 'where it runs' },
    out: {
      type: 'string',
      short: 'o',
      value: 'DIR',
      help: 'predictions and reports: TABLE.md, TABLE.json, report.html (default reproduced/TABLE)',
    },
    format: { type: 'string', choices: ['text', 'markdown', 'json'], help: 'what is printed; default: text' },
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
          : `${missing.length === 0 ? 'everything is here' : describeMissing(missing)}\n`,
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
