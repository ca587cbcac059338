import { QalignError } from '../../../src/base/errors.js';
import type { PreparedMedia } from '../../../src/media/preparer.js';
import { createScorerFrom } from '../../../src/recipes/score/score.js';
import type { ScorerOptions, ScoreSource } from '../../../src/recipes/score/scorer.js';
import type { ShardEvent } from '../../../src/recipes/shards/events.js';
import {
  scoreShardsWith,
  type ScoreShardsOptions,
  type ShardParts,
  type ShardsSummary,
} from '../../../src/recipes/shards/score-shards.js';
import { fakeParts, type FakeLog } from '../score/fake-scorer.js';

/** A scorer without Python whose logit of "excellent" is the last byte of the picture divided by 16. */
export async function prepareLastByte(source: ScoreSource): Promise<PreparedMedia> {
  const bytes = source.media as Uint8Array;
  if (bytes[0] !== 0x50) throw new QalignError('MEDIA_CORRUPT', `${source.input} is damaged.`);
  const data = new Uint8Array(48).fill((bytes[bytes.length - 1] ?? 0) / 16);
  return { frames: 1, width: 8, height: 8, data, warnings: [] };
}

export interface Ran {
  readonly summary: ShardsSummary;
  readonly events: ShardEvent[];
  readonly log: FakeLog;
}

export const fakeShardParts = (log: FakeLog, prepare = prepareLastByte): ShardParts => ({
  createScorer: (options: ScorerOptions) => createScorerFrom(fakeParts(log, {}, prepare), options),
});

/** Runs shards with the scorer above, and collects the events. */
export async function runFake(options: Partial<ScoreShardsOptions>, prepare = prepareLastByte): Promise<Ran> {
  const log: FakeLog = { engineCalls: [], closed: 0 };
  const events: ShardEvent[] = [];
  const summary = await scoreShardsWith(fakeShardParts(log, prepare), {
    model: 'tiny-untrained',
    // how much progress is told depends on the speed of the machine
    onEvent: (event) => void (event.event === 'progress' ? 0 : events.push(event)),
    ...options,
  } as ScoreShardsOptions);
  return { summary, events, log };
}
