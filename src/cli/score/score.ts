import { expandSources } from '../../media/sources.js';
import type { Scorer, ScorerOptions } from '../../recipes/score/scorer.js';
import { defineCommand } from '../command.js';
import { SCORE_FLAGS } from './flags.js';
import { runScore } from './run.js';
import { readShardFlags, requireNoShardFlags, wantsShards } from './shard-request.js';

export const score = defineCommand({
  name: 'score',
  summary: 'score pictures and clips: files, folders, globs, or "-" to read a list from stdin',
  args: 'INPUT…',
  description:
    'Exit code 0: all inputs were scored; 1: some inputs failed, the others were scored; 2: wrong usage; 3: a score is below --fail-below.',
  examples: [
    'qalign score photos/ clip.mp4',
    'qalign score photos/ --model one-align --task quality --task aesthetics --out scores.jsonl --resume',
    'find . -name "*.jpg" | qalign score - --format csv --fail-below 2.5',
    'qalign score photos/ --top 20 --fields input,score,level_probs.excellent --format csv',
    'qalign score photos/ --map --map-out maps/ --out maps.jsonl',
    'qalign score clip.mp4 --per-frame --format csv --fields input,score,frame_curve.p5,frame_curve.min',
    'qalign score photos/ --out compact.jsonl --compact --quiet',
    "qalign score --shards 'data/{00000..00099}.tar' --out scores/ --keep 'score>=3.5'",
  ],
  flags: SCORE_FLAGS,
  async run(context) {
    // imported on demand: loading the bridge, the engine and the decoders takes half a second
    const createScorer = async (options: ScorerOptions): Promise<Scorer> =>
      (await import('../../recipes/score/create-scorer.js')).createScorerWith(context.waiting, options);
    if (!wantsShards(context.flags)) {
      requireNoShardFlags(context.flags);
      return runScore(context, { createScorer, expandSources });
    }
    const request = readShardFlags(context.flags, context.args);
    if (context.flags.ray !== undefined) {
      const { runOnRayCommand } = await import('./ray/run.js');
      return runOnRayCommand(context, context.flags, request);
    }
    const { runShardCommand } = await import('./run-shards.js');
    return runShardCommand(context, request, createScorer);
  },
});
