import { expandSources } from '../../media/sources.js';
import { defineCommand } from '../command.js';
import { SCORE_FLAGS } from './flags.js';
import { runScore } from './run.js';

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
  ],
  flags: SCORE_FLAGS,
  run: (context) =>
    runScore(context, {
      // imported on demand: loading the bridge, the engine and the decoders takes half a second
      createScorer: async (options) =>
        (await import('../../recipes/score/create-scorer.js')).createScorerWith(context.waiting, options),
      expandSources,
    }),
});
