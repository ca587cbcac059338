import { ERROR_CODES, type ErrorCode, type ErrorFamily, type ErrorRow } from '../../bridge/protocol/errors.js';
import { exitCodeOf } from '../../src/cli/run.js';
import { code, GENERATED, page, prose, table } from './markdown.js';
import { REMEDIES } from './remedies.js';

const FAMILIES: Readonly<Record<ErrorFamily, string>> = {
  worker: 'Raised by the Python worker',
  bridge: 'About a worker, raised by Node',
  config: 'Options, recipes, runs and outputs',
  dataset: 'Label files and datasets',
  media: 'Pictures and clips',
  service: 'Requests to the service',
};

export const errorsPage = (): string =>
  page(
    GENERATED,
    '# Errors',
    'Every error of qalign has one of these codes. Commands print the message with its code, the library throws a `QalignError` with the field `code`, and the service answers `{"error": {"code": …, "message": …}}` with the status below.',
    'The exit code is that of a command that ends with the error. A command that continues after a failed item exits with 1. A command that is interrupted by Ctrl-C exits with 130. Retryable: the same request can succeed if it is sent again unchanged.',
    ...Object.entries(FAMILIES).flatMap(([family, title]) => [`## ${title}`, errorTable(family)]),
  );

const errorTable = (family: string): string =>
  table(
    ['Code', 'Status', 'Exit code', 'Retryable', 'Meaning', 'What to do'],
    (Object.entries(ERROR_CODES) as [ErrorCode, ErrorRow][])
      .filter(([, row]) => row.family === family)
      .map(([name, { httpStatus, retryable, sentence }]) => [
        code(name),
        String(httpStatus),
        String(exitCodeOf(name)),
        retryable ? 'yes' : 'no',
        prose(sentence),
        REMEDIES[name],
      ]),
  );
