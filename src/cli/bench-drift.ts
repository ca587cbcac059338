import { PRECISIONS, type Precision } from '../../bridge/protocol/models.js';
import { QalignError } from '../base/errors.js';
import { expandSources } from '../media/sources.js';
import { benchDrift, type BenchDriftResult } from '../recipes/bench/drift.js';
import type { ScoreSource } from '../recipes/score/scorer.js';
import { defineCommand } from './command.js';
import { asJson } from './terminal/json.js';
import { tableFor } from './terminal/table.js';

export const benchDriftCommand = defineCommand({
  name: 'bench drift',
  summary: 'compare the scores of two precisions on your own pictures and clips',
  args: 'INPUT…',
  description:
    'Scores the inputs in one precision after the other, so only one model is in memory. Prints the differences of the scores, the correlations, the agreement of levels and both rates.',
  examples: [
    'qalign bench drift photos/ --model one-align --precision fp8 --against bf16',
    'qalign bench drift photos/ --model one-align --precision int8 --max-delta 0.05 --min-srcc 0.99 --json',
  ],
  flags: {
    model: { type: 'string', value: 'NAME|DIR|ID', help: 'model to measure (default: nano)' },
    base: { type: 'string', value: 'NAME|DIR|ID', help: 'base model of a LoRA adapter' },
    device: { type: 'string', value: 'auto|cpu|cuda:N', help: 'device to run on (default: auto)' },
    precision: { type: 'string', choices: PRECISIONS, help: 'precision to test (default: auto)' },
    against: { type: 'string', choices: PRECISIONS, help: 'precision to compare with (default: bf16)' },
    'max-delta': { type: 'number', value: 'D', help: 'exit with 1 if a score differs by more than D' },
    'min-srcc': { type: 'number', value: 'R', help: 'exit with 1 if the rank correlation is below R' },
    json: { type: 'boolean', help: 'print the report as JSON' },
  },
  async run({ args, flags, terminal, signal, log }) {
    if (args.length === 0)
      throw new QalignError('USAGE', 'qalign bench drift: name pictures, clips or folders to score.');
    const sources: ScoreSource[] = [];
    for await (const source of expandSources(args, { signal })) sources.push(source);
    if (sources.length === 0)
      throw new QalignError('MEDIA_NOT_FOUND', `No picture or clip was found in ${args.join(', ')}.`);
    const report = await benchDrift({
      scorer: {
        model: flags.model,
        base: flags.base,
        device: flags.device,
        precision: flags.precision as Precision | undefined,
        log,
      },
      against: (flags.against ?? 'bf16') as Precision,
      sources,
      signal,
      onScored: (precision, done, total) => terminal.progress(`${precision}: ${done} of ${total} inputs`),
    });
    terminal.progress(undefined);
    await terminal.out(flags.json ? asJson(report) : asText(report, (cells) => tableFor(terminal, cells)));
    const exceeded = driftLimits(report, flags['max-delta'], flags['min-srcc']);
    for (const sentence of exceeded) terminal.say(`qalign: ${sentence}`);
    return exceeded.length > 0 ? 1 : 0;
  },
});

/** A sentence for each limit that the drift exceeds. */
export function driftLimits(
  { delta, srcc }: Pick<BenchDriftResult, 'delta' | 'srcc'>,
  mostDelta: number | undefined,
  leastSrcc: number | undefined,
): string[] {
  return [
    ...(mostDelta !== undefined && delta.max > mostDelta
      ? [`the largest difference is ${delta.max.toFixed(4)}, above --max-delta ${mostDelta}.`]
      : []),
    ...(leastSrcc !== undefined && !((srcc ?? -1) >= leastSrcc)
      ? [`the SRCC is ${srcc?.toFixed(4) ?? 'undefined'}, below --min-srcc ${leastSrcc}.`]
      : []),
  ];
}

function asText(report: BenchDriftResult, table: (cells: string[][]) => string): string {
  const { tested, against, delta } = report;
  const of = (value: number | null): string => value?.toFixed(4) ?? 'undefined';
  const worst = report.worst.map((item) => [item.input, item.task, of(item.score), of(item.against), of(item.delta)]);
  return [
    `${report.model}: ${tested.precision} against ${against.precision}, ${report.scores} scores, ${report.failed} failed\n`,
    table([
      ['measure', 'value'],
      ['|Δscore| mean', of(delta.mean)],
      ['|Δscore| p95', of(delta.p95)],
      ['|Δscore| max', of(delta.max)],
      ['bias', of(report.bias)],
      ['SRCC', of(report.srcc)],
      ['PLCC', of(report.plcc)],
      ['same level', `${(100 * report.level_agreement).toFixed(1)} %`],
      [`${tested.precision} on ${tested.device}`, `${tested.inputs_per_second.toFixed(2)} inputs/s`],
      [`${against.precision} on ${against.device}`, `${against.inputs_per_second.toFixed(2)} inputs/s`],
    ]),
    '\n',
    table([['input', 'task', tested.precision, against.precision, 'Δscore'], ...worst]),
  ].join('');
}
