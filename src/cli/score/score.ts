import { expandSources } from '../../media/sources.js';
import { defineCommand } from '../command.js';
import { SCORE_FLAGS } from './flags.js';
import { runScore } from './run.js';

export const score = defineCommand({
  name: 'score',
  summary: 'score pictures and clips: files, folders, globs, "-" for a list on stdin',
  args: 'INPUT…',
  description:
    'Exit code 0: all scored; 1: some inputs failed, the rest is delivered; 2: wrong usage; 3: a score is under --fail-below.',
  examples: [
    'qalign score photos/ clip.mp4',
    'qalign score photos/ --task quality --task aesthetics --out scores.jsonl --resume',
    'find . -name "*.jpg" | qalign score - --format csv --fail-below 2.5',
    'qalign score photos/ --top 20 --fields input,score,level_probs.excellent --format csv',
    'qalign score photos/ --out compact.jsonl --compact --quiet',
  ],
  flags: SCORE_FLAGS,
  run: (context) =>
    runScore(context, {
      // loaded when it is needed: the bridge, the engine and the decoders take half a second
      createScorer: async (options) => (await import('../../recipes/score/create-scorer.js')).createScorer(options),
      expandSources,
    }),
});
