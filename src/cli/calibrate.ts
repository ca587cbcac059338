import { QalignError } from '../base/errors.js';
import { calibrateModel, countOf } from '../recipes/evaluate/calibrate.js';
import { decimal } from '../report/text.js';
import { defineCommand } from './command.js';
import { asJson } from './terminal/json.js';
import { whileWorking } from './terminal/progress.js';

export const calibrate = defineCommand({
  name: 'calibrate',
  summary: "fit a model's scores to the MOS scale of a data set",
  description:
    'Fits on predictions of validation items, which "qalign evaluate" writes. With the result, "qalign score --calibration FILE" also gives scores on that scale.',
  examples: [
    'qalign calibrate --predictions evaluations/koniq/predictions/koniq-dev.jsonl --out koniq.calibration.json',
    'qalign calibrate --predictions dev.jsonl --test test.jsonl --method isotonic --out c.json --page c.html',
  ],
  flags: {
    predictions: { type: 'string', value: 'FILE', help: 'predictions of validation items to fit on (required)' },
    test: {
      type: 'string',
      value: 'FILE',
      help: 'predictions of other items to measure the calibration error on (default: the items of --predictions)',
    },
    method: {
      type: 'string',
      choices: ['logistic', 'isotonic'],
      help: 'curve to fit; logistic has four parameters (default: logistic)',
    },
    out: { type: 'string', short: 'o', value: 'FILE', help: 'output file for the calibration, as JSON (required)' },
    page: { type: 'string', value: 'FILE', help: 'output file for an HTML page with the reliability plot' },
    json: { type: 'boolean', help: 'print the measurement as JSON' },
  },
  async run({ args, flags, line, terminal }) {
    const { predictions, out } = flags;
    if (args.length > 0 || predictions === undefined || out === undefined)
      throw new QalignError(
        'USAGE',
        'qalign calibrate: name --predictions FILE and --out FILE, without other arguments.',
      );
    const result = await whileWorking(terminal, 'fitting', () =>
      calibrateModel({
        predictions,
        out,
        test: flags.test,
        page: flags.page,
        command: line,
        method: (flags.method as 'logistic' | 'isotonic' | undefined) ?? 'logistic',
      }),
    );
    await terminal.out(
      flags.json
        ? asJson(result)
        : `${result.method}, fitted on ${result.fitted_on}, n = ${countOf(result.n, result.unpredicted)}; measured on ${result.measured_on}, n = ${countOf(result.measured_n, result.measured_unpredicted)}:\nexpected calibration error ${decimal(result.ece)}, RMSE ${decimal(result.rmse)} (units of the MOS)\n${out}\n`,
    );
    return 0;
  },
});
