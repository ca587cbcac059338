import { QalignError } from '../../base/errors.js';
import {
  scoreShardsWith,
  serveShards,
  type ShardParts,
  type ScoreShardsOptions,
} from '../../recipes/shards/score-shards.js';
import type { Scorer, ScorerOptions } from '../../recipes/score/scorer.js';
import type { CommandContext } from '../command.js';
import { createSetupProgress } from '../terminal/progress.js';
import { planModels } from './models.js';
import type { ShardRequest } from './shard-request.js';
import { createShardProgress, summaryOfShards, wrongOutput } from './shard-progress.js';

/** Runs `qalign score --shards`, or a shard worker. Returns the exit code. */
export async function runShardCommand(
  context: CommandContext,
  request: ShardRequest,
  createScorer: (options: ScorerOptions) => Promise<Scorer>,
): Promise<number> {
  const { terminal, signal, log } = context;
  const { out, format, tasks: asked, strict, limit, keep, scorer, part } = request;
  const [plan] = await planModels({ ...request, tasks: asked, scorers: [scorer] });
  const { tasks } = plan!;
  const isQuiet = request.quiet || request.isWorker;
  const parts: ShardParts = {
    createScorer: async (options) => {
      const made = await createScorer({
        ...options,
        log,
        ...(isQuiet ? {} : { onProgress: createSetupProgress(terminal) }),
      });
      if (!isQuiet) terminal.progress(undefined);
      return made;
    },
    finisherOf: (version) => plan!.calibratorOf(version),
  };
  const options = { ...scorer, out, format, tasks, strict, limit, keep: keep?.text, signal };
  if (request.isWorker)
    return serveShards(parts, { ...options, input: process.stdin, write: (line) => terminal.out(line) }).finally(() =>
      process.stdin.destroy(),
    );
  if (request.patterns.length === 0)
    throw new QalignError('USAGE', 'qalign score: --shards needs the name or pattern of a shard.');
  const progress = createShardProgress(terminal, { json: request.json, quiet: request.quiet });
  const run: ScoreShardsOptions = {
    ...options,
    shards: request.patterns,
    part: part && `${part.index}/${part.of}`,
    onEvent: (event) => progress.onEvent(event),
  };
  try {
    const summary = await scoreShardsWith({ ...parts, onShards: (shards) => progress.total(shards.length) }, run);
    progress.finish();
    if (request.json) await terminal.out(`${JSON.stringify({ event: 'end', ...summary })}\n`);
    if (!request.quiet) terminal.say(`qalign: ${summaryOfShards(summary, out, terminal.paintErr)}`);
    return summary.failed > 0 ? 1 : 0;
  } catch (error) {
    progress.finish();
    if (signal.aborted && !request.quiet)
      terminal.say('qalign: stopped; the same command continues with the shards that have no result');
    return wrongOutput(terminal, error);
  }
}
