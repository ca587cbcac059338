import { QalignError } from '../base/errors.js';
import { writeBridgeKeys } from '../recipes/score/bridge-keys.js';
import { defineCommand, defineGroup } from './command.js';

const keys = defineCommand({
  name: 'workers keys',
  summary: 'create the keys that authenticate this host and workers on other hosts',
  args: 'FOLDER',
  examples: [
    'qalign workers keys keys/ --workers 2',
    'qalign score photos/ --device remote:2 --listen tcp://0.0.0.0:5600 --bridge-keys keys/head.json',
    'python -m qalign.worker --connect tcp://head:5600 --keys worker-1.json --device cuda:0   # on the other host',
  ],
  flags: {
    workers: { type: 'number', value: 'N', help: 'number of workers that can connect (default: 1)' },
    json: { type: 'boolean', help: 'print the paths of the key files as JSON' },
  },
  async run({ args, flags, terminal }) {
    const [folder, ...more] = args;
    const workers = flags.workers ?? 1;
    if (folder === undefined || more.length > 0)
      throw new QalignError('USAGE', 'qalign workers keys: name one output folder.');
    if (!Number.isInteger(workers) || workers < 1 || workers > 1000)
      throw new QalignError(
        'USAGE',
        `qalign workers keys: --workers must be a whole number from 1 to 1000, not ${workers}.`,
      );
    const files = await writeBridgeKeys(folder, workers);
    await terminal.out(
      flags.json ? `${JSON.stringify(files)}\n` : [files.head, ...files.workers].map((path) => `${path}\n`).join(''),
    );
    return 0;
  },
});

export const workers = defineGroup({
  name: 'workers',
  summary: 'create keys for workers on other hosts',
  commands: [keys],
});
