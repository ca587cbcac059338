import type { GpuCheck, GpuFigure } from '../../../bridge/protocol/gpu-check.js';

/** A table: the first row is the header. */
export type Cells = string[][];

const NONE = '–';

/** A measured value with four significant digits. */
function digits(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : String(Number(value.toPrecision(4)));
}

const verdict = (met: boolean | null | undefined): string =>
  met === null || met === undefined ? NONE : met ? 'met' : 'not met';

/** The device, the model and the versions of a check in one line. */
export function headline(check: GpuCheck): string {
  const cuda = check.cuda === null ? '' : `, CUDA ${check.cuda}`;
  return `${check.device_name}: ${check.architecture} with random weights, ${check.precision}, torch ${check.torch}${cuda}, qalign ${check.qalign}, ${check.date.slice(0, 10)}`;
}

export function goalCells({ goals }: GpuCheck): Cells {
  const rows = goals.map(({ name, value, unit, goal, met }) => [
    name,
    value === null ? 'not measured' : digits(value),
    digits(goal),
    unit,
    verdict(met),
  ]);
  return [['goal for one H200', 'value', 'goal', 'unit', 'result'], ...rows];
}

export function figureCells(check: GpuCheck): Cells {
  const rows = [...figures(check)].map(([name, { value, unit, goal, met }]) => [
    name,
    digits(value),
    unit,
    goal === undefined ? '' : `${digits(goal)}: ${verdict(met)}`,
  ]);
  return [['figure', 'value', 'unit', 'goal'], ...rows];
}

/** Parts without a figure: what was skipped or failed, and what to do. */
export function gapCells({ sections }: GpuCheck): Cells {
  const rows = Object.entries(sections).flatMap(([section, { skipped, failed }]) => [
    ...failed.map(({ part, error, advice }) => [
      `${section}: ${part}`,
      'failed',
      `${error.trim().split('\n').at(-1)} ${advice}`,
    ]),
    ...skipped.map(({ part, reason }) => [`${section}: ${part}`, 'skipped', reason]),
  ]);
  return [['part', 'result', 'reason'], ...rows];
}

/** The figures of both checks side by side, and `second / first`. */
export function comparedCells(first: GpuCheck, second: GpuCheck): Cells {
  const [left, right] = [figures(first), figures(second)];
  const rows = [...new Set([...left.keys(), ...right.keys()])].map((name) => {
    const [a, b] = [left.get(name), right.get(name)];
    const comparable = a !== undefined && b !== undefined && a.value !== 0 && a.unit === b.unit;
    return [
      name,
      digits(a?.value),
      digits(b?.value),
      a?.unit ?? b?.unit ?? '',
      comparable ? (b.value / a.value).toFixed(3) : NONE,
    ];
  });
  return [['figure', 'first', 'second', 'unit', 'second / first'], ...rows];
}

/** What differs between two checks besides the figures, as sentences. */
export function differences(first: GpuCheck, second: GpuCheck): string[] {
  const keys = ['device_name', 'architecture', 'precision', 'torch', 'cuda', 'qalign', 'ended'] as const;
  return keys.flatMap((key) =>
    first[key] === second[key]
      ? []
      : [`${key} differs: ${first[key] ?? 'none'} in the first file, ${second[key] ?? 'none'} in the second.`],
  );
}

/** The figures by `section: name`, in the order of the file. */
function figures({ sections }: GpuCheck): Map<string, GpuFigure> {
  return new Map(
    Object.entries(sections).flatMap(([section, part]) =>
      part.figures.map((figure) => [`${section}: ${figure.name}`, figure] as const),
    ),
  );
}
