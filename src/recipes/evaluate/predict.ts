import type { DatasetRecord } from '../../../bridge/protocol/record.js';
import { QalignError } from '../../base/errors.js';
import { LEVELS, type Level } from '../../scoring/levels.js';
import { isFailure } from '../../api/result.js';
import type { MediaLimits } from '../../media/limits.js';
import { describePreprocessing } from '../../media/preprocessing.js';
import type { Scorer, ScoreSource } from '../score/scorer.js';
import { openPredictions, type PredictionFailure, type PredictionHeader } from './predictions.js';
import type { RecordSet } from './records.js';

interface RecordSource extends ScoreSource {
  readonly task: DatasetRecord['task'];
}

export interface PredictProgress {
  readonly dataset: string;
  readonly done: number;
  readonly total: number;
  readonly failed: number;
}

/** Predicts the records that the file does not have yet. After a crash the same call continues. */
export async function predict(
  scorer: Scorer,
  set: RecordSet,
  path: string,
  {
    signal,
    limits,
    onProgress,
  }: {
    signal?: AbortSignal | undefined;
    limits?: Partial<MediaLimits> | undefined;
    onProgress?: ((progress: PredictProgress) => void) | undefined;
  } = {},
): Promise<void> {
  const writer = await openPredictions(path, headerOf(scorer, set));
  try {
    const total = set.records.length;
    let [done, failed] = [writer.kept, 0];
    onProgress?.({ dataset: set.name, done, total, failed });
    const asked: number[] = [];
    const sources = function* (): Generator<RecordSource, void, undefined> {
      for (const [index, record] of set.records.entries()) {
        if (writer.has(index)) continue;
        asked.push(index);
        const media = set.media[index]!;
        yield { input: record.media, kind: record.kind, media, task: record.task };
      }
    };
    const options = {
      tasksOf: (source: ScoreSource) => [(source as RecordSource).task],
      ...(signal === undefined ? {} : { signal }),
      ...(limits === undefined ? {} : { limits }),
    };
    let next = 0; // outcomes have the order of the sources
    for await (const [outcome] of scorer.scoreMany(sources(), options)) {
      const index = asked[next++]!;
      const { id, mos, level, group } = set.records[index]!;
      if (outcome === undefined) throw new QalignError('WORKER_INTERNAL', `The scorer returned no outcome for ${id}.`);
      if (isFailure(outcome)) {
        failed += 1;
        await writer.write({ index, id, error: outcome.error } satisfies PredictionFailure);
      } else {
        const named = level !== undefined && LEVELS.includes(level as Level) ? { mos_level: level } : {};
        const logits = LEVELS.map((name) => outcome.logits[name]);
        await writer.write({
          index,
          id,
          mos,
          ...named,
          ...(group === undefined ? {} : { group }),
          score: outcome.score,
          level: outcome.level,
          logits,
          level_mass: outcome.level_mass,
          ...(outcome.warnings.length === 0 ? {} : { warnings: outcome.warnings }),
        });
      }
      done += 1;
      onProgress?.({ dataset: set.name, done, total, failed });
    }
  } finally {
    await writer.close();
  }
}

const taughtOf = ({ choice }: Scorer): { taught?: false } => (choice.taught === undefined ? {} : { taught: false });

function headerOf(scorer: Scorer, set: RecordSet): PredictionHeader {
  const { id, revision, weights_sha256, precision, image_size, views, preparation } = scorer.model;
  const { name, text, stem } = scorer.prompt;
  return {
    format: 'qalign-predictions/2',
    dataset: set.name,
    records_sha256: set.sha256,
    n: set.records.length,
    model: { id, revision, weights_sha256, precision, untrained: scorer.choice.untrained, ...taughtOf(scorer) },
    prompt: { name, text, ...(stem === undefined ? {} : { stem }) },
    preprocessing: describePreprocessing(image_size, { views, preparation, clipSide: scorer.choice.clipSide }),
    score_version: scorer.scoreVersion,
  };
}
