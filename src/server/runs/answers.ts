import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Evaluation, TrainRun } from '../../api/runs.js';
import { readEvaluationFile } from '../../recipes/evaluate/stored.js';
import { summarise } from '../../runs/run-directory.js';
import type { RunServices } from './requests.js';
import type { ServiceRun } from './store.js';

/** A training as the API returns it, with the progress of its run directory. */
export async function trainRunAnswer(run: ServiceRun): Promise<TrainRun> {
  const { folder } = run;
  const trained =
    folder === undefined || !existsSync(join(folder, 'recipe.json')) ? undefined : await summarise(folder);
  return {
    ...common(run),
    run: folder === undefined ? null : basename(folder),
    step: trained?.step ?? 0,
    total_steps: trained?.totalSteps ?? null,
    loss: trained?.loss ?? null,
    srcc: trained?.srcc ?? null,
    plcc: trained?.plcc ?? null,
  };
}

/** An evaluation as the API returns it, with its result when it is completed. */
export async function evaluationAnswer(
  run: ServiceRun,
  { runQueue, redact }: Pick<RunServices, 'runQueue' | 'redact'>,
): Promise<Evaluation> {
  const isOver = run.status === 'completed';
  return {
    ...common(run),
    result: isOver ? redact(await evaluationResult(runQueue.folder(run.id))) : null,
  };
}

/** The result of a completed evaluation, from its folder. */
export async function evaluationResult(folder: string): Promise<NonNullable<Evaluation['result']>> {
  const { model, score_version, datasets } = await readEvaluationFile(folder);
  return {
    model: model.id,
    untrained: model.untrained,
    weights_sha256: model.weights_sha256,
    score_version,
    datasets: datasets.map(({ dataset, records, failed, metrics }) => ({
      dataset,
      records,
      failed: failed.length,
      metrics: { ...metrics },
    })),
  };
}

const common = ({ id, name, status, message, createdAt, finishedAt }: ServiceRun) => ({
  id,
  name,
  status,
  message: message ?? null,
  created_at: createdAt,
  finished_at: finishedAt ?? null,
});
