import { PRECISIONS } from '../../../bridge/protocol/models.js';
import { writeFile } from 'node:fs/promises';
import { chooseModel, DEFAULT_MODEL, requireFirstBackend } from '../../config/models.js';
import { QalignError } from '../../base/errors.js';
import { guardWrite } from '../../base/files/unwritable.js';
import { ensurePython } from '../../engine/python/environment.js';
import { packageVersion, sampleMedia } from '../../base/package-root.js';
import { benchBridge } from '../../recipes/bench/bridge.js';
import { benchModel } from '../../recipes/bench/model.js';
import { benchPrepare } from '../../recipes/bench/prepare.js';
import { benchOrder } from '../../recipes/bench/distortion-order.js';
import { benchMemory, benchScore } from '../../recipes/bench/score.js';
import { overloadCells, type OverloadConfig } from '../../server/bench/overload.js';
import { benchServe } from '../../server/bench/serve.js';
import { resolveDevices } from '../../recipes/score/devices.js';
import { FAMILIES, type Family } from '../../media/distort/families.js';
import { expandSources } from '../../media/sources.js';
import type { ScorerOptions, ScoreSource } from '../../recipes/score/scorer.js';
import { benchDriftCommand } from './drift.js';
import { benchGpuCommand } from './gpu.js';
import { defineCommand, type CommandContext, type FlagValues } from '../command.js';
import { asJson } from '../terminal/json.js';
import { whileWorking } from '../terminal/progress.js';
import { fittedTable } from '../terminal/table.js';
import { hint } from '../../base/suggest.js';
import { reasonOf } from '../../base/files/reason.js';

const PARTS = ['prepare', 'bridge', 'model', 'score', 'memory', 'serve', 'order'] as const;
type Part = (typeof PARTS)[number];

const FLAGS = {
  model: { type: 'string', value: 'NAME|DIR|ID', help: 'model to measure (default: nano)' },
  'random-weights': {
    type: 'string',
    choices: ['mplug_owl2_7b', 'tiny'],
    help: 'part "model": measure an architecture with random weights',
  },
  device: { type: 'string', value: 'auto|cpu|cuda:N', help: 'device to run on (default: auto)' },
  precision: {
    type: 'string',
    choices: PRECISIONS,
    help: 'auto: bf16 on CUDA for models of a billion parameters or more, else fp32. Smaller and less exact: fp8, int8, nf4 (default: auto)',
  },
  batches: { type: 'string', value: 'N,N', help: 'batch sizes to measure (default: 1,4,16,64)' },
  n: { type: 'number', help: 'number of inputs of the part "memory", of requests of "serve" (default: 10000)' },
  load: {
    type: 'string',
    value: 'N,N',
    help: 'part "serve": measure only overload, at these multiples of the capacity, e.g. 1,2,10',
  },
  seconds: { type: 'number', help: 'with --load: duration of each multiple in seconds (default: 60)' },
  beside: {
    type: 'number',
    help: 'with --load: measure each multiple alone, then beside N busy processes that qalign starts and ends (default: 0)',
  },
  families: {
    type: 'string',
    value: 'NAME,NAME',
    help: 'part "order": families of distortions to measure (default: all)',
  },
  input: {
    type: 'string',
    multiple: true,
    value: 'PATH',
    help: 'picture, clip or folder to score (default: the samples that come with qalign)',
  },
  out: { type: 'string', short: 'o', value: 'FILE', help: 'file for the results as JSON (default: qalign-bench.json)' },
} as const;

export const bench = defineCommand({
  name: 'bench',
  summary: 'measure speed, memory, the HTTP service and the order of distortions; print and write JSON',
  args: `[${PARTS.join('|')}]…`,
  description:
    'Without arguments, measures every part except "order". "score" measures end to end. "order" applies 28 families of distortions at 4 strengths to undistorted pictures (--input) and counts how often the score drops. "prepare" compares with Pillow and installs it if needed. If a part fails, the others still run. "qalign bench gpu" checks a GPU and "qalign bench drift" compares precisions; both are separate commands.',
  examples: [
    'qalign bench',
    'qalign bench memory --n 100000 --out memory.json',
    'qalign bench serve --n 100000',
    'qalign bench serve --model nano --load 1,2,10 --seconds 60 --beside 2',
    'qalign bench order --input kodak/',
    'qalign bench order --input kodak/ --families upscale,mixture',
    'qalign bench gpu --out gpu.json',
    'qalign bench drift photos/ --model one-align --precision fp8 --against bf16',
    'qalign bench model --random-weights mplug_owl2_7b --device cuda:0',
  ],
  flags: FLAGS,
  subcommands: [benchGpuCommand, benchDriftCommand],
  async run(context) {
    const { args, flags, terminal } = context;
    const parts = args.length === 0 ? PARTS.filter((part) => part !== 'order') : args.map(readPart);
    const report: Record<string, unknown> = {
      qalign: packageVersion,
      date: new Date().toISOString(),
      node: process.version,
    };
    let failed = 0;
    for (const part of parts) {
      terminal.say(`measuring ${part} …`);
      report[part] = await measure(part, context).catch((error: unknown) => {
        if (context.signal.aborted || !(error instanceof QalignError) || error.code === 'USAGE') throw error;
        failed += 1;
        terminal.progress(undefined);
        terminal.say(`qalign: ${part}: ${error.message} [${error.code}]`);
        return { error: { code: error.code, message: error.message } };
      });
      await terminal.out(`${part}: ${asJson(report[part])}`);
    }
    const out = flags.out ?? 'qalign-bench.json';
    await guardWrite(
      () => writeFile(out, asJson(report)),
      (error) => `${out} cannot be written (${reasonOf(error)}).`,
    );
    terminal.say(`written to ${out}`);
    return failed > 0 ? 1 : 0;
  },
});

function readPart(word: string): Part {
  const part = PARTS.find((name) => name === word);
  if (part === undefined)
    throw new QalignError('USAGE', `qalign bench: there is no part "${word}"; the parts are ${PARTS.join(', ')}.`);
  return part;
}

async function measure(part: Part, { flags, terminal, signal, log }: CommandContext<typeof FLAGS>): Promise<unknown> {
  const scorer: ScorerOptions = {
    model: flags.model,
    device: flags.device,
    precision: flags.precision as ScorerOptions['precision'],
    log,
  };
  if (part === 'prepare') {
    const onProgress = (message: string): void => terminal.progress(message);
    const { executable } = await ensurePython({ signal, extras: ['pillow'], onProgress });
    return whileWorking(terminal, 'measuring preparation', () => benchPrepare({ python: executable, signal }));
  }
  if (part === 'bridge')
    return whileWorking(terminal, 'measuring the bridge', async () => {
      const choice = await chooseModel({ model: flags.model });
      requireFirstBackend(choice, 'this measurement');
      return benchBridge({ python: await ensurePython({ signal }), model: choice.model, signal });
    });
  if (part === 'model') return whileWorking(terminal, 'measuring the model', () => measureModel(flags, signal));
  const sources = await gather(flags.input, signal);
  const pictures = sources.filter(({ kind }) => kind === 'image');
  const onStep = (message: string): void => terminal.progress(message);
  if (part === 'serve') {
    const served = await benchServe({
      model: flags.model ?? DEFAULT_MODEL,
      device: flags.device ?? 'auto',
      precision: flags.precision ?? 'auto',
      n: flags.n ?? 10_000,
      sources: pictures,
      overload: readOverload(flags),
      signal,
      onStep,
    });
    terminal.progress(undefined);
    for (const line of fittedTable(overloadCells(served.overload), terminal.columns, terminal.paint))
      terminal.say(line);
    return served;
  }
  if (part === 'score') {
    const scored = await benchScore({ scorer, sources: pictures, batches: readBatches(flags.batches), signal, onStep });
    terminal.progress(undefined);
    return scored;
  }
  if (part === 'order') {
    const families = readFamilies(flags.families);
    const files = pictures.flatMap(({ media }) => (typeof media === 'string' ? [media] : []));
    return benchOrder({
      scorer,
      files,
      families,
      signal,
      onPicture: (done, total) => terminal.progress(done === total ? undefined : `${done} of ${total} pictures`),
    });
  }
  const result = await benchMemory({
    scorer,
    sources,
    n: flags.n ?? 10_000,
    signal,
    onSample: ({ inputs, node_mb, workers_mb }) =>
      terminal.progress(`${inputs} inputs, Node ${node_mb.toFixed(0)} MB, workers ${workers_mb.toFixed(0)} MB`),
  });
  terminal.progress(undefined);
  return result;
}

async function measureModel(flags: FlagValues<typeof FLAGS>, signal: AbortSignal): Promise<unknown> {
  const python = await ensurePython({ signal });
  const [device] = await resolveDevices(flags.device ?? 'auto', python, signal);
  const choice = await chooseModel({ model: flags.model });
  requireFirstBackend(choice, 'this measurement');
  const weights =
    flags['random-weights'] === undefined
      ? [
          '--model',
          choice.model,
          ...given('--revision', choice.revision),
          ...given('--base', choice.base),
          ...given('--base-revision', choice.baseRevision),
        ]
      : ['--random-weights', flags['random-weights']];
  return benchModel(
    python,
    [
      ...weights,
      '--device',
      device ?? 'cpu',
      '--precision',
      flags.precision ?? 'auto',
      '--batches',
      readBatches(flags.batches).join(','),
    ],
    signal,
  );
}

/** Undefined if the whole part is measured. */
function readOverload({ load, seconds = 60, beside = 0 }: FlagValues<typeof FLAGS>): OverloadConfig | undefined {
  if (load === undefined) return undefined;
  const times = load.split(',').map(Number);
  if (times.some((one) => !(one > 0)) || !(seconds > 0) || !(Number.isInteger(beside) && beside >= 0))
    throw new QalignError(
      'USAGE',
      `qalign bench: --load ${load} --seconds ${seconds} --beside ${beside} is not valid. --load needs numbers above 0 separated by commas, --seconds a number above 0, --beside a whole number of at least 0.`,
    );
  return { times, seconds, beside };
}

const given = (flag: string, value: string | undefined): string[] => (value === undefined ? [] : [flag, value]);

function readFamilies(text: string | undefined): Family[] | undefined {
  return text?.split(',').map((word) => {
    const family = FAMILIES.find((name) => name === word.trim());
    if (family === undefined)
      throw new QalignError(
        'USAGE',
        `qalign bench: there is no family of distortions "${word}"${hint(word, FAMILIES)}; the families are ${FAMILIES.join(', ')}.`,
      );
    return family;
  });
}

function readBatches(text = '1,4,16,64'): number[] {
  const batches = text.split(',').map(Number);
  if (batches.some((batch) => !Number.isInteger(batch) || batch < 1))
    throw new QalignError(
      'USAGE',
      `qalign bench: --batches must be whole numbers of at least 1 separated by commas, not ${text}.`,
    );
  return batches;
}

async function gather(inputs: readonly string[], signal: AbortSignal): Promise<ScoreSource[]> {
  const sources: ScoreSource[] = [];
  for await (const source of expandSources(inputs.length > 0 ? inputs : [sampleMedia], { signal }))
    sources.push(source);
  if (sources.length === 0)
    throw new QalignError(
      'MEDIA_NOT_FOUND',
      `No picture or clip was found in ${inputs.length > 0 ? inputs.join(', ') : sampleMedia}; name some with --input.`,
    );
  return sources;
}
