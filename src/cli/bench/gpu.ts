import type { GpuCheck } from '../../../bridge/protocol/gpu-check.js';
import { QalignError } from '../../base/errors.js';
import { formatDuration } from '../../base/units.js';
import { ensurePython } from '../../engine/python/environment.js';
import { readGpuCheck, runGpuCheck } from '../../recipes/bench/gpu.js';
import {
  comparedCells,
  differences,
  figureCells,
  gapCells,
  goalCells,
  headline,
  type Cells,
} from '../../recipes/bench/gpu-table.js';
import { resolveDevices } from '../../recipes/score/devices.js';
import { markdownTable } from '../../report/text.js';
import { defineCommand, type CommandContext, type FlagValues } from '../command.js';
import type { Terminal } from '../terminal/terminal.js';
import { fittedTable } from '../terminal/table.js';

const FLAGS = {
  compare: { type: 'boolean', help: 'compare the figures of two files' },
  markdown: { type: 'boolean', help: 'print the tables in Markdown' },
  device: { type: 'string', value: 'auto|cuda:N|cpu', help: 'device to check (default: auto, the first GPU)' },
  'random-weights': {
    type: 'string',
    choices: ['mplug_owl2_7b', 'tiny'],
    help: 'architecture of the measured model (default: mplug_owl2_7b)',
  },
  seconds: { type: 'number', help: 'limit of the check in seconds (default: 420)' },
  sections: { type: 'string', value: 'A,B', help: 'run only these sections of the check' },
  out: { type: 'string', short: 'o', value: 'FILE', help: 'file for the results as JSON (default: gpu.json)' },
} as const;

export const benchGpuCommand = defineCommand({
  name: 'bench gpu',
  summary: 'check a GPU in at most seven minutes; show and compare the results',
  args: '[FILE…]',
  description:
    'Without files, measures the GPU of this machine with random weights and writes JSON. With a file of an earlier check, shows its figures beside the goals for one H200. The exit code is 1 if a part of the check failed.',
  examples: [
    'qalign bench gpu --out gpu.json',
    'qalign bench gpu gpu.json --markdown',
    'qalign bench gpu --compare before.json after.json',
    'qalign bench gpu --device cpu --random-weights tiny --seconds 30',
  ],
  flags: FLAGS,
  async run({ args: files, flags, terminal, signal }) {
    if (flags.compare ? files.length !== 2 : files.length > 1)
      throw new QalignError(
        'USAGE',
        `qalign bench gpu: ${files.length} files were given. Give one to show it, or two with --compare: qalign bench gpu --compare A.json B.json.`,
      );
    const [first, second] = await Promise.all(files.map(readGpuCheck));
    const table = tableOn(flags.markdown, terminal);
    if (first !== undefined && second !== undefined) {
      await terminal.out(asCompared(first, second, table));
      return 0;
    }
    const check = first ?? (await measured({ flags, terminal, signal }));
    await terminal.out(asText(check, table));
    return Object.values(check.sections).some(({ failed }) => failed.length > 0) ? 1 : 0;
  },
});

async function measured({
  flags,
  terminal,
  signal,
}: Pick<CommandContext, 'terminal' | 'signal'> & { flags: FlagValues<typeof FLAGS> }): Promise<GpuCheck> {
  const python = await ensurePython({ signal, onProgress: (message) => terminal.progress(message) });
  const wanted = flags.device ?? 'auto';
  const [device = 'cpu', ...others] = await resolveDevices(wanted, python, signal);
  if (device === 'remote' || (others.length > 0 && wanted !== 'auto'))
    throw new QalignError(
      'USAGE',
      `qalign bench gpu: --device ${wanted} is not one device of this machine; write cuda:N or cpu.`,
    );
  if (device === 'cpu' && wanted !== 'cpu')
    throw new QalignError(
      'DEVICE_UNAVAILABLE',
      'This machine has no GPU that PyTorch can use. Show the file of another machine with qalign bench gpu FILE, or try the check on the CPU with --device cpu --random-weights tiny.',
    );
  const out = flags.out ?? 'gpu.json';
  const args = ['--device', device, '--architecture', flags['random-weights'] ?? 'mplug_owl2_7b'];
  if (flags.seconds !== undefined) args.push('--seconds', String(flags.seconds));
  if (flags.sections !== undefined) args.push('--sections', flags.sections);
  const check = await runGpuCheck(python, out, args, { signal, onLine: (line) => terminal.progress(line) });
  terminal.progress(undefined);
  terminal.say(`written to ${out}`);
  return check;
}

type TableOf = (cells: Cells) => string;

function tableOn(markdown: boolean, { columns, paint, outIsTerminal }: Terminal): TableOf {
  if (markdown) return ([head = [], ...rows]) => `${markdownTable(head, rows)}\n`;
  return (cells) => `${fittedTable(cells, outIsTerminal ? columns : Infinity, paint).join('\n')}\n`;
}

function asText(check: GpuCheck, table: TableOf): string {
  const gaps = gapCells(check);
  const ended = `${formatDuration(check.seconds)}, ${check.ended}`;
  const parts = [`${headline(check)} (${ended})\n`, table(goalCells(check)), table(figureCells(check))];
  return [...parts, ...(gaps.length > 1 ? [table(gaps)] : [])].join('\n');
}

function asCompared(first: GpuCheck, second: GpuCheck, table: TableOf): string {
  const heads = `first: ${headline(first)}\n\nsecond: ${headline(second)}\n`;
  const differ = differences(first, second).map((sentence) => `- ${sentence}\n`);
  return [heads, ...(differ.length > 0 ? [differ.join('')] : []), table(comparedCells(first, second))].join('\n');
}
