import { PRECISIONS } from '../../../bridge/protocol/models.js';
import { TASKS, WANTED_FRAME_RULES } from '../../prompts/subject.js';
import { SCALES } from '../../scoring/levels.js';
import { inGroup, type Flags } from '../command.js';

/** In the groups and the order of the help. */
export const SCORE_FLAGS = {
  ...inGroup('model', {
    task: { type: 'string', multiple: true, choices: TASKS, help: 'what to rate; can be repeated (default: quality)' },
    model: {
      type: 'string',
      multiple: true,
      value: 'NAME|DIR|ID|hf:ID',
      help: 'a model of "qalign models list", a directory, a hub id, or hf: and either for a model of transformers (default: nano). Can be repeated: the models run one after the other, and each writes its own rows',
    },
    base: { type: 'string', value: 'NAME|DIR|ID', help: 'base model of a LoRA adapter' },
    revision: { type: 'string', value: 'REV', help: 'commit, tag or branch of a hub model' },
    precision: {
      type: 'string',
      choices: PRECISIONS,
      help: 'auto: bf16 on CUDA for models of a billion parameters or more, else fp32. Smaller and less exact: fp8, int8, nf4 (default: auto)',
    },
    scale: {
      type: 'string',
      choices: SCALES,
      help: 'scale of the scores; mos5: 1 to 5 (default), unit: 0 to 1, percent: 0 to 100',
    },
    prompt: {
      type: 'string',
      value: 'NAME|FILE',
      help: 'a prompt of configs/prompts or a YAML file of the same form (default: the prompt of the model)',
    },
    calibration: {
      type: 'string',
      value: 'FILE',
      help: 'a file of "qalign calibrate"; adds scores on the MOS scale of its data set',
    },
  }),
  ...inGroup('inputs', {
    include: {
      type: 'string',
      multiple: true,
      value: 'GLOB',
      help: 'in folders and globs, take only files that match; can be repeated',
    },
    exclude: {
      type: 'string',
      multiple: true,
      value: 'GLOB',
      help: 'in folders and globs, skip files that match; can be repeated',
    },
    hidden: { type: 'boolean', help: 'in folders and globs, also take files and folders whose name begins with a dot' },
    'allow-urls': { type: 'boolean', help: 'fetch inputs that are http(s) URLs, except from private addresses' },
    limit: { type: 'number', value: 'N', help: 'stop after N inputs, including those that --resume keeps' },
    'auto-orient': { type: 'boolean', help: 'rotate pictures by their EXIF orientation (the reference code does not)' },
    fps: {
      type: 'number',
      value: 'F',
      help: 'frames to score per second of video (default: one, by the rule of the reference code)',
    },
    'max-frames': { type: 'number', value: 'N', help: 'score at most N frames of a video' },
    'per-frame': {
      type: 'boolean',
      help: 'also score each frame of a clip as a picture: frame_curve in JSON, frames_… columns in tables',
    },
    'per-frame-window': {
      type: 'number',
      value: 'K',
      help: 'instead of single frames, score each window of K consecutive frames as a clip, 2 to 60',
    },
    'frame-rule': {
      type: 'string',
      choices: WANTED_FRAME_RULES,
      help: 'auto: by timestamps if the frame rate varies (default), published: frame int(fps · i), eight: 8 or --max-frames, evenly spaced, as models of transformers get them',
    },
  }),
  ...inGroup('shards', {
    shards: {
      type: 'string',
      multiple: true,
      value: 'PATTERN',
      help: 'score shards of a data set: WebDataset tars, Parquet and JSONL, local or s3://. A name with braces such as {00000..00099}, a glob, or a list of them (.txt); further inputs are patterns too. --out is then a folder, with one result for each shard',
    },
    shard: {
      type: 'string',
      value: 'I/N',
      help: 'score every N-th shard of the list, beginning with shard I (from 1 to N), for schedulers that give each process a number',
    },
    keep: {
      type: 'string',
      value: 'CONDITION',
      help: 'also write the keys of good items to a text file for each shard, for example score>=3.5 or "score>=3.5 and width>=512"',
    },
    progress: {
      type: 'string',
      choices: ['bar', 'json'],
      help: 'bar: a progress line on stderr (default); json: a JSON line on stdout for each event',
    },
    ray: {
      type: 'string',
      value: 'URL',
      help: 'score the shards on a Ray cluster: the address of its dashboard, such as http://127.0.0.1:8265. The same command attaches to the running job. Without a token (RAY_AUTH_TOKEN), only addresses of this machine are taken',
    },
    'ray-token-file': {
      type: 'string',
      value: 'FILE',
      help: 'a file with the token of the cluster (default: RAY_AUTH_TOKEN)',
    },
    'ray-workers': {
      type: 'number',
      value: 'N',
      help: 'number of workers (default: as many as the cluster has GPUs; without GPUs, one for each node or more)',
    },
    'ray-cpus': {
      type: 'number',
      value: 'N',
      help: 'CPUs that each worker reserves (default: the share of a GPU, or those of the smallest node)',
    },
    'ray-stop': { type: 'boolean', help: 'stop the running job of these shards' },
    'shard-worker': {
      type: 'boolean',
      hidden: true,
      help: 'read shards as JSON lines from stdin, write events to stdout',
    },
  }),
  ...inGroup('output', {
    out: {
      type: 'string',
      short: 'o',
      value: 'FILE',
      help: 'output file (.jsonl, .json, .csv or .parquet) instead of stdout',
    },
    format: {
      type: 'string',
      choices: ['table', 'json', 'jsonl', 'csv', 'parquet'],
      help: 'output format (default: from the extension of --out; without --out, table on a terminal and jsonl elsewhere)',
    },
    fields: {
      type: 'string',
      value: 'A,B,C',
      help: 'write only these fields, in this order, for example input,score,level_probs.good,model.id',
    },
    compact: {
      type: 'boolean',
      help: 'write values that all rows share only once, in FILE.meta.json or the Parquet metadata; round numbers to fp32 precision',
    },
    'per-frame-csv': {
      type: 'string',
      value: 'FILE',
      help: 'write the frame curves to a CSV file, a line for each frame; implies --per-frame',
    },
    'csv-safe': {
      type: 'boolean',
      help: 'CSV: write an apostrophe before text that a spreadsheet would run as a formula',
    },
    top: { type: 'number', value: 'N', help: 'write only the N best scores of each task, best first' },
    bottom: { type: 'number', value: 'N', help: 'write only the N worst scores of each task, worst first' },
    quiet: { type: 'boolean', short: 'q', help: 'print only errors on stderr: no progress, warnings or summary' },
  }),
  ...inGroup('quality map', {
    map: {
      type: 'boolean',
      help: 'also score windows of each picture and write their scores as "map"; costs one more score for each window. Clips have no map',
    },
    'map-window': {
      type: 'number',
      value: 'N',
      help: 'side of a window in pixels of the picture (default: the input size of the model times its views)',
    },
    'map-stride': {
      type: 'number',
      value: 'N',
      help: 'pixels from one window to the next (default: half the side of a window)',
    },
    'map-max': {
      type: 'number',
      value: 'N',
      help: 'maximum number of windows of a picture, up to 1024; with more, the stride is increased (default: 144)',
    },
    'map-out': {
      type: 'string',
      value: 'DIR',
      help: 'also write a PNG of each picture with its map over it into this folder',
    },
  }),
  ...inGroup('resuming and checks', {
    resume: {
      type: 'boolean',
      help: 'continue the file --out of an earlier run; changed files and failures are scored again',
    },
    verify: {
      type: 'string',
      choices: ['time', 'hash'],
      help: 'how --resume detects changed files; time: by size and modification time (default), hash: by a hash of the bytes, which each row stores',
    },
    strict: { type: 'boolean', help: 'fail inputs that have warnings instead of scoring them' },
    'fail-below': { type: 'number', value: 'X', help: 'exit with code 3 if a score is below X' },
  }),
  ...inGroup('devices and network', {
    device: {
      type: 'string',
      value: 'auto|cpu|cuda:N|N,M|remote:N',
      help: 'auto: one worker on each CUDA device, else the CPU (default); N,M: one worker on each GPU; remote:N: N workers on other hosts',
    },
    listen: { type: 'string', value: 'tcp://HOST:PORT', help: 'address on which workers of other hosts connect' },
    'bridge-keys': {
      type: 'string',
      value: 'FILE',
      help: 'head.json of "qalign workers keys", which authenticates workers',
    },
    batch: {
      type: 'number',
      value: 'N',
      help: 'maximum number of pictures or frames in a batch (default: 16 on a CPU, 64 on CUDA)',
    },
    deterministic: {
      type: 'boolean',
      help: 'give the same bytes in every batch and run on this machine; computes each input alone, which is slower on a GPU',
    },
    offline: { type: 'boolean', help: 'do not use the network; the model must be in the cache' },
  }),
} as const satisfies Flags;
