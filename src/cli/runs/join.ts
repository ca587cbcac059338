import { QalignError } from '../../base/errors.js';
import { joinRun } from '../../recipes/train/train.js';
import { summarise } from '../../runs/run-directory.js';
import { defineCommand } from '../command.js';
import { asJson, runAsJson } from '../terminal/json.js';
import { onlyRun } from './run-line.js';

export const joinHost = defineCommand({
  name: 'runs join',
  summary: 'join this host to a training run of several hosts',
  args: 'RUN',
  description:
    'The first host starts the run ("qalign train RECIPE hosts=2 processes=16 rendezvous=HOST:29500"); every other host joins with its number. The runs folder must be on a disk that all hosts share. The network must be private, because the rendezvous does not authenticate hosts.',
  examples: ['qalign runs join koniq --rank 1'],
  flags: {
    rank: { type: 'number', value: 'N', help: 'number of this host, from 1; the first host is 0 (required)' },
    json: { type: 'boolean', help: 'print the run as JSON when it ends' },
  },
  async run({ args, flags, terminal }) {
    const folder = onlyRun(args, 'join');
    if (flags.rank === undefined)
      throw new QalignError(
        'USAGE',
        'qalign runs join: set the number of this host with --rank, from 1; the first host is 0.',
      );
    await joinRun(folder, flags.rank);
    if (flags.json) await terminal.out(asJson(runAsJson({ ...(await summarise(folder)), folder })));
    return 0;
  },
});
