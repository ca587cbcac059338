import type { PartSize } from '../../datasets/partition.js';
import { QalignError } from '../../base/errors.js';
import { sampleRecords, splitRecords } from '../../recipes/data/split.js';
import { defineCommand } from '../command.js';
import { readSeed } from './flags.js';
import { asJson } from '../terminal/json.js';

const OUT = {
  type: 'string',
  short: 'o',
  value: 'DIR',
  help: 'folder for the new files, <part>.jsonl (required)',
} as const;
const SEED = { type: 'number', value: 'N', help: 'random seed (default: 0)' } as const;
const JSON_FLAG = { type: 'boolean', help: 'print the counts as JSON' } as const;

export const split = defineCommand({
  name: 'dataset split',
  summary: 'split a file of records into parts such as train, dev and test',
  args: 'RECORDS',
  description:
    'Every part has the levels in the same proportions. Records of one reference image (group) stay together; sizes then count reference images.',
  examples: [
    'qalign dataset split data/own/all.jsonl --parts dev=500,train=rest --seed 1 --out data/own',
    'qalign dataset split data/live/all.jsonl --parts train=0.8,test=0.2 --out data/live',
  ],
  flags: {
    parts: {
      type: 'string',
      value: 'NAME=SIZE,…',
      help: 'the parts; SIZE is a share such as 0.8, a number of records, or "rest" (required)',
    },
    seed: SEED,
    out: OUT,
    json: JSON_FLAG,
  },
  async run({ args, flags, terminal }) {
    const [records, ...more] = args;
    if (records === undefined || more.length > 0)
      throw new QalignError('USAGE', 'qalign dataset split: name one file of records.');
    if (flags.parts === undefined)
      throw new QalignError(
        'USAGE',
        'qalign dataset split: name the parts and their sizes with --parts, such as train=0.8,test=0.2.',
      );
    if (flags.out === undefined) throw new QalignError('USAGE', 'qalign dataset split: name a folder with --out.');
    const result = await splitRecords({
      records,
      parts: readParts(flags.parts),
      seed: readSeed(flags.seed),
      out: flags.out,
    });
    const lines = result.files.map(
      (file) => `${file.path}  ${file.records} records: ${levelsLine(result.levels[partOf(file.path)] ?? {})}`,
    );
    await terminal.out(flags.json ? asJson(result) : `${lines.join('\n')}\n`);
    return 0;
  },
});

export const sample = defineCommand({
  name: 'dataset sample',
  summary: 'draw a random part of some records, or mix several files',
  args: 'RECORDS…',
  description:
    'Without --fraction and --count, concatenates the files, each as often as its weight. In a mixture, ids become <dataset>/<id>.',
  examples: [
    'qalign dataset sample data/koniq/train.jsonl --fraction 0.2 --stratify level --seed 1 --out few.jsonl',
    'qalign dataset sample koniq.jsonl spaq.jsonl kadid.jsonl --weights 1,1,0.5 --out mix.jsonl',
  ],
  flags: {
    fraction: { type: 'number', value: 'F', help: 'share of the records to take (default: all)' },
    count: { type: 'number', value: 'N', help: 'number of records to take (default: all)' },
    weights: {
      type: 'string',
      value: 'W,W,…',
      help: 'how often to take each file: 0.5 takes half of it, 2 takes it twice (default: 1 for each)',
    },
    stratify: { type: 'string', choices: ['level'], help: 'keep the proportions of the levels' },
    seed: SEED,
    out: { ...OUT, value: 'FILE', help: 'output file, which ends in .jsonl (required)' },
    json: JSON_FLAG,
  },
  async run({ args, flags, terminal }) {
    if (args.length === 0) throw new QalignError('USAGE', 'qalign dataset sample: name at least one file of records.');
    if (flags.out === undefined || !flags.out.endsWith('.jsonl'))
      throw new QalignError('USAGE', 'qalign dataset sample: name a file that ends in .jsonl with --out.');
    const result = await sampleRecords({
      records: args,
      weights: flags.weights?.split(',').map((text) => (text.trim() === '' ? NaN : Number(text))),
      fraction: flags.fraction,
      count: flags.count,
      stratify: flags.stratify as 'level' | undefined,
      seed: readSeed(flags.seed),
      out: flags.out,
    });
    const lines = [
      ...result.inputs.map(({ file, of, taken, levels }) => `${file}: ${taken} of ${of}: ${levelsLine(levels)}`),
      ...result.files.map(({ path, records }) => `${path}  ${records} records`),
    ];
    await terminal.out(flags.json ? asJson(result) : `${lines.join('\n')}\n`);
    return 0;
  },
});

function readParts(text: string): Record<string, PartSize> {
  const parts: Record<string, PartSize> = {};
  for (const part of text.split(',')) {
    const [name = '', size = ''] = part.split('=').map((word) => word.trim());
    const value = size === 'rest' ? 'rest' : size === '' ? NaN : Number(size);
    const fits = value === 'rest' || (value > 0 && (value < 1 || Number.isSafeInteger(value)));
    if (name === '' || !fits)
      throw new QalignError(
        'USAGE',
        `--parts ${text}: "${part}" is not valid; write NAME=SIZE with a share below 1, a whole number, or rest.`,
      );
    if (name in parts) throw new QalignError('USAGE', `--parts ${text} names ${name} twice.`);
    parts[name] = value;
  }
  return parts;
}

function partOf(path: string): string {
  return path.replace(/^.*[/\\]/, '').replace(/\.jsonl$/, '');
}

function levelsLine(levels: Readonly<Record<string, number>>): string {
  return Object.entries(levels)
    .map(([level, count]) => `${level} ${count}`)
    .join(', ');
}
