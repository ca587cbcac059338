import { listDatasets } from '../../recipes/data/list.js';
import { defineCommand, defineGroup } from '../command.js';
import { fittedTable } from '../terminal/table.js';
import { check } from './check.js';
import { convert } from './convert.js';
import { report } from './report.js';
import { sample, split } from './split.js';
import { asJson } from '../terminal/json.js';

const list = defineCommand({
  name: 'dataset list',
  summary: 'list the data sets that qalign describes, and the label files they need',
  examples: ['qalign dataset list', 'qalign dataset list --labels labels/ --json'],
  flags: {
    labels: { type: 'string', value: 'DIR', help: 'also show which of them can be read from this folder' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  async run({ flags, terminal }) {
    const found = await listDatasets(flags.labels);
    if (flags.json) {
      await terminal.out(asJson(found));
      return 0;
    }
    const looked = flags.labels !== undefined;
    const cells = found.map((set) => [
      set.name,
      `${set.task} of ${set.kind}s`,
      ...(looked ? [set.found === null || set.found === undefined ? 'not found' : `source ${set.found}`] : []),
      `${set.title}: ${set.version}; licence: ${set.licence}${looked ? '' : `; needs ${[...new Set(set.sources.map(({ files }) => files.join(' + ')))].join(' or ')}`}`,
    ]);
    const head = ['data set', 'ratings', ...(looked ? ['label files'] : []), 'about'];
    const lines = fittedTable([head, ...cells], terminal.columns, terminal.paint);
    await terminal.out(`${lines.join('\n')}\n`);
    return 0;
  },
});

export const dataset = defineGroup({
  name: 'dataset',
  summary: 'convert label files to records; list, report, check, split and sample them',
  commands: [list, convert, report, check, split, sample],
});
