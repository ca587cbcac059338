import { QalignError } from '../../base/errors.js';
import { findRun, runsRoot, type RunSummary } from '../../runs/run-directory.js';

/** The table cells of runs, header first. */
export const runCells = (runs: readonly RunSummary[]): string[][] => [
  ['run', 'status', 'step', 'loss', 'srcc', 'plcc'],
  ...runs.map((run) => [
    run.id,
    run.status,
    `${run.step}/${run.totalSteps ?? '-'}`,
    digits(run.loss),
    digits(run.srcc),
    digits(run.plcc),
  ]),
];

const digits = (value: number | undefined): string => value?.toFixed(4) ?? '-';

export const JSON_FLAG = { json: { type: 'boolean', help: 'print JSON' } } as const;

/** The folder of the one run that `qalign runs VERB` names. @throws QalignError USAGE, RUN_NOT_FOUND */
export function onlyRun(args: readonly string[], verb: string): string {
  if (args[0] === undefined || args.length !== 1)
    throw new QalignError('USAGE', `qalign runs ${verb}: name one run; see "qalign runs list".`);
  return findRun(runsRoot(), args[0]);
}
