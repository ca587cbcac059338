import { EvaluateRecipe } from '../config/evaluate.js';
import { loadRecipe } from '../config/recipes.js';
import { QalignError } from '../base/errors.js';
import { evaluate as runEvaluation, type EvaluateEvent } from '../recipes/evaluate/evaluate.js';
import {
  comparePredictions,
  comparisonMarkdown,
  evaluatePredictions,
  type FileOptions,
} from '../recipes/evaluate/from-files.js';
import { evaluationMarkdown, INTERVALS, metricsTable } from '../recipes/evaluate/markdown.js';
import { checkReady, describeMissing } from '../recipes/evaluate/ready.js';
import { markdownTable } from '../report/text.js';
import { defineCommand, type CommandContext } from './command.js';
import { createSetupProgress, progressLine } from './terminal/progress.js';
import { RECIPE_FLAGS, recipePage } from './terminal/recipes.js';
import { fittedTable } from './terminal/table.js';
import type { Terminal } from './terminal/terminal.js';
import { asJson } from './terminal/json.js';

const FLAGS = {
  ...RECIPE_FLAGS,
  plan: { type: 'boolean', help: 'report what is missing on this machine and how to get it, without evaluating' },
  out: {
    type: 'string',
    short: 'o',
    value: 'DIR',
    help: 'folder for predictions and reports (default: evaluations/NAME); an existing folder is continued',
  },
  predictions: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    help: 'evaluate a predictions file without a model; given twice, compares the two files item by item',
  },
  rule: {
    type: 'string',
    choices: ['levels', 'two_words'],
    help: 'with --predictions: the scoring rule; two_words is the rule of Q-Bench (default: levels)',
  },
  'allow-failures': {
    type: 'number',
    value: 'N',
    help: 'with --predictions: maximum number of records without a prediction (default: 0)',
  },
  json: { type: 'boolean', help: 'print the result, the list or the keys as JSON' },
} as const;

export const evaluate = defineCommand({
  name: 'evaluate',
  summary: 'measure correlations with mean opinion scores, with confidence intervals, from a recipe',
  args: 'RECIPE',
  description:
    'RECIPE is a name from --list or a YAML file. Writes predictions/*.jsonl, evaluation.json, evaluation.md and report.html. After an interruption, the same command continues. Exit code 1 if more items failed than the recipe allows.',
  examples: [
    'qalign evaluate --list',
    'qalign evaluate koniq --plan',
    'qalign evaluate koniq model=one-align allow_failures=2',
    'qalign evaluate --predictions a/predictions/koniq.jsonl --predictions b/predictions/koniq.jsonl',
  ],
  overrides: true,
  interrupted: 'run the same command to continue; it keeps the predictions written so far',
  flags: FLAGS,
  async run(context) {
    const { args, overrides, flags, line, terminal, signal, log } = context;
    const page = await recipePage('evaluate', EvaluateRecipe, flags, terminal);
    if (page !== undefined) {
      await terminal.out(page);
      return 0;
    }
    if (flags.predictions.length > 0) return fromFiles(context);
    if (args.length !== 1)
      throw new QalignError(
        'USAGE',
        'qalign evaluate: name one recipe, or --predictions FILE; "qalign evaluate --list" shows the recipes.',
      );
    const recipe = await loadRecipe('evaluate', EvaluateRecipe, args[0]!, overrides);
    if (flags.plan) {
      const { missing, sets } = await checkReady(recipe);
      await terminal.out(
        flags.json
          ? `${JSON.stringify({ ready: missing.length === 0, missing, data: sets.map(({ name, records }) => ({ name, records: records.length })) })}\n`
          : `${missing.length === 0 ? 'ready' : describeMissing(missing)}\n${sets.map(({ name, records }) => `found: ${name}, ${records.length} records\n`).join('')}`,
      );
      return missing.length === 0 ? 0 : 1;
    }
    const onEvent = createEvaluateProgress(terminal);
    try {
      const result = await runEvaluation(recipe, { out: flags.out, command: line, signal, log, onEvent });
      terminal.progress(undefined);
      if (result.model.untrained) terminal.say(`qalign: ${result.model.id} is untrained: its numbers mean nothing.`);
      else if (result.model.taught === false)
        terminal.say(`qalign: ${result.model.id} was not taught to rate: these are zero-shot scores.`);
      await terminal.out(flags.json ? asJson(result) : evaluationMarkdown(result, tableOn(terminal)));
      terminal.say(`qalign: ${result.folder}/report.html`);
      return 0;
    } finally {
      terminal.progress(undefined);
    }
  },
});

/** On a terminal a table that fits its width, otherwise Markdown. */
const tableOn = ({ outIsTerminal, columns, paint }: Terminal): typeof markdownTable =>
  outIsTerminal ? (head, rows) => fittedTable([head, ...rows], columns, paint).join('\n') : markdownTable;

async function fromFiles({ args, flags, terminal }: CommandContext<typeof FLAGS>): Promise<number> {
  const [first, second, ...more] = flags.predictions;
  if (first === undefined || more.length > 0 || args.length > 0)
    throw new QalignError('USAGE', 'qalign evaluate: name one --predictions file, or two to compare, and no recipe.');
  const options: FileOptions = { rule: flags.rule as FileOptions['rule'], allowFailures: flags['allow-failures'] };
  if (second !== undefined) {
    const comparison = await comparePredictions(first, second, options);
    await terminal.out(flags.json ? asJson(comparison) : comparisonMarkdown(comparison));
    return 0;
  }
  const result = await evaluatePredictions(first, options);
  if (result.untrained) terminal.say(`qalign: ${result.model} is untrained: its numbers mean nothing.`);
  const { head, rows } = metricsTable([{ ...result, predictions: first, paper: null, calibration: null }]);
  await terminal.out(flags.json ? asJson(result) : `${tableOn(terminal)(head, rows)}\n\n${INTERVALS}\n`);
  return 0;
}

/** Shows loading and predicting as one progress line with the remaining time. */
function createEvaluateProgress(
  terminal: Terminal,
  now: () => number = () => performance.now(),
): (event: EvaluateEvent) => void {
  const setup = createSetupProgress(terminal);
  let [dataset, started, kept, drawn] = ['', 0, 0, -Infinity];
  return (event) => {
    if (event.event === 'loading') setup(event.message, event.done, event.total);
    if (event.event === 'evaluated') terminal.progress(`${event.dataset}: evaluated`);
    if (event.event !== 'predicting') return;
    if (event.dataset !== dataset) {
      [dataset, started, kept] = [event.dataset, now(), event.done];
      if (kept > 0) terminal.say(`qalign: ${kept} of ${event.total} predictions of ${dataset} already exist`);
    }
    if (now() - drawn < 100 && event.done < event.total) return;
    drawn = now();
    terminal.progress(
      `${dataset}: ${progressLine({ done: event.done, kept, failed: event.failed, total: event.total, elapsedMs: now() - started })}`,
    );
  };
}
