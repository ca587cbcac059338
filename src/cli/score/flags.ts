import { TASKS } from '../../prompts/subject.js';
import { SCALES } from '../../scoring/levels.js';
import { inGroup, type Flags } from '../command.js';

/** In the groups and the order of help. */
export const SCORE_FLAGS = {
  ...inGroup('model', {
    task: { type: 'string', multiple: true, choices: TASKS, help: 'what to rate; may be repeated (default: quality)' },
    model: {
      type: 'string',
      multiple: true,
      value: 'NAME|DIR|ID',
      help: 'a model of "qalign models list", a directory or a hub id; several: a row for each, one model after the other',
    },
    base: { type: 'string', value: 'NAME|DIR|ID', help: 'base model of a LoRA' },
    revision: { type: 'string', value: 'REV', help: 'commit, tag or branch of a hub model' },
    precision: { type: 'string', choices: ['auto', 'fp32', 'bf16', 'fp16'], help: 'auto: fp32 on a CPU, bf16 on CUDA' },
    scale: { type: 'string', choices: SCALES, help: 'mos5: 1 to 5 (default), unit: 0 to 1, percent: 0 to 100' },
    prompt: { type: 'string', value: 'NAME', help: 'a prompt of configs/prompts, or a YAML file like them' },
    calibration: {
      type: 'string',
      value: 'FILE',
      help: 'also give scores on the MOS scale of a data set, by a file of "qalign calibrate"',
    },
  }),
  ...inGroup('inputs', {
    include: { type: 'string', multiple: true, value: 'GLOB', help: 'in folders and globs, only files like this' },
    exclude: { type: 'string', multiple: true, value: 'GLOB', help: 'in folders and globs, no files like this' },
    hidden: { type: 'boolean', help: 'in folders and globs, also files and folders whose name begins with a dot' },
    'allow-urls': { type: 'boolean', help: 'fetch inputs that are http(s) URLs (never from private addresses)' },
    limit: { type: 'number', value: 'N', help: 'stop after N inputs, those included that --resume keeps' },
    'auto-orient': { type: 'boolean', help: 'turn pictures as their EXIF orientation says (the reference does not)' },
    fps: {
      type: 'number',
      value: 'F',
      help: 'frames taken a second of video (default: the rule of the reference, one)',
    },
    'max-frames': { type: 'number', value: 'N', help: 'at most so many frames of a video' },
    'frame-rule': {
      type: 'string',
      choices: ['auto', 'published'],
      help: 'auto: by time stamps where the rate of a video varies (default); published: as the reference, int(fps · i)',
    },
  }),
  ...inGroup('output', {
    out: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'write there instead of to stdout (.jsonl, .json, .csv, .parquet)',
    },
    format: {
      type: 'string',
      choices: ['table', 'json', 'jsonl', 'csv', 'parquet'],
      help: 'default: by the ending of --out; else table on a terminal, jsonl elsewhere',
    },
    fields: {
      type: 'string',
      value: 'A,B,C',
      help: 'only these fields of a row, in this order, for example input,score,level_probs.good,model.id',
    },
    compact: {
      type: 'boolean',
      help: 'what all rows share stands once, in FILE.meta.json or in the metadata of Parquet; numbers as short as fp32',
    },
    'csv-safe': {
      type: 'boolean',
      help: 'CSV: an apostrophe before text that a spreadsheet would run as a formula',
    },
    top: { type: 'number', value: 'N', help: 'only the N best scores of each task, best first' },
    bottom: { type: 'number', value: 'N', help: 'only the N worst scores of each task, worst first' },
    quiet: { type: 'boolean', short: 'q', help: 'nothing on stderr but errors: no progress, warnings or summary' },
  }),
  ...inGroup('continuing and checks', {
    resume: {
      type: 'boolean',
      help: 'continue --out where an earlier run ended; changed files and failures are scored again',
    },
    verify: {
      type: 'string',
      choices: ['time', 'hash'],
      help: 'what tells a changed file: size and time (default), or a hash of its bytes, kept in each row',
    },
    strict: { type: 'boolean', help: 'an input with warnings fails instead of being scored' },
    'fail-below': { type: 'number', value: 'X', help: 'exit with 3 when a score is under X' },
  }),
  ...inGroup('devices and network', {
    device: {
      type: 'string',
      value: 'auto|cpu|cuda:N|N,M|remote:N',
      help: 'auto: the first CUDA device, else the CPU; N,M: one worker on each; remote:N: N workers of other hosts',
    },
    listen: { type: 'string', value: 'tcp://HOST:PORT', help: 'where workers of other hosts connect' },
    'bridge-keys': { type: 'string', value: 'FILE', help: 'head.json of "qalign workers keys": who may connect' },
    batch: {
      type: 'number',
      value: 'N',
      help: 'at most so many pictures or frames in one batch (default: 16 on a CPU, 64 on CUDA)',
    },
    deterministic: {
      type: 'boolean',
      help: 'the same bytes from every run on this machine: each input is computed alone, which is slower',
    },
    offline: { type: 'boolean', help: 'never reach for the network; the model must be in the cache' },
  }),
} as const satisfies Flags;
