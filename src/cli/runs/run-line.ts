import { QalignError } from '../../base/errors.js';
import { findRun, runsRoot, type RunSummary } from '../../runs/run-directory.js';

export const RUN_HEADER = 'run\tstatus\tstep\tloss\tsrcc\tplcc\n';

/** A run as a row under RUN_HEADER, without a line end. */
export const runLine = (run: RunSummary): string =>
  [
    run.id,
    run.status,
    `${run.step}/${run.totalSteps ?? '-'}`,
    digits(run.loss),
    digits(run.srcc),
    digits(run.plcc),
  ].join('\t');

const digits = (value: number | undefined): string => value?.toFixed(4) ?? '-';

export const JSON_FLAG = { json: { type: 'boolean', help: 'as JSON' } } as const;

/** The folder of the one run that `qalign runs VERB` names. @throws QalignError USAGE, RUN_NOT_FOUND */
export function onlyRun(args: readonly string[], verb: string): string {
  if (args[0] === undefined || args.length !== 1)
    throw new QalignError('USAGE', `qalign runs ${verb}: name one run; see "qalign runs list".`);
  return findRun(runsRoot(), args[0]);
}
