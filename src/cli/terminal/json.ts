import type { RecipePlan } from '../../recipes/train/train.js';
import type { TrainSeries } from '../../recipes/train/loss-series.js';
import type { RunSummary } from '../../runs/run-directory.js';

/** JSON as every command prints it. */
export const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** A run as data: absent values are null, so that every row has the same keys. */
export function runAsJson(
  run: RunSummary & { readonly folder?: string; readonly skipped?: number; readonly warned?: number },
): object {
  const { id, name, status, startedAt, step, totalSteps, loss, srcc, plcc, folder, skipped, warned } = run;
  const values = {
    id,
    name,
    status,
    started_at: startedAt ?? null,
    step,
    total_steps: totalSteps ?? null,
    loss: loss ?? null,
    srcc: srcc ?? null,
    plcc: plcc ?? null,
  };
  return {
    ...values,
    ...(folder === undefined ? {} : { folder }),
    ...(skipped === undefined ? {} : { skipped }),
    ...(warned === undefined ? {} : { warned }),
  };
}

export function planAsJson({ plan, diskBytes, time, misfits, recipe, machine }: RecipePlan): object {
  return {
    micro_batch: recipe.micro_batch,
    keep_unsharded: recipe.keep_unsharded,
    parameters: plan?.parameters ?? null,
    trainable: plan?.trainable ?? null,
    bytes_per_trainable: plan?.bytesPerTrainable ?? null,
    weight_bytes: plan?.weightBytes ?? null,
    gradient_bytes: plan?.gradientBytes ?? null,
    optimizer_bytes: plan?.optimizerBytes ?? null,
    activation_bytes: plan?.activationBytes ?? null,
    per_gpu_bytes: plan?.perGpuBytes ?? null,
    start_gpu_bytes: plan?.startGpuBytes ?? null,
    start_host_bytes: plan?.startHostBytes ?? null,
    checkpoint_bytes: plan?.checkpointBytes ?? null,
    export_bytes: plan?.exportBytes ?? null,
    fits: plan?.fits ?? null,
    prepared_bytes: diskBytes ?? null,
    steps: time?.steps ?? null,
    flops_per_item: time?.flopsPerItem ?? null,
    estimated_seconds: time?.seconds ?? null,
    bytes_per_item: time?.bytesPerItem ?? null,
    estimated_for: time?.device ?? null,
    gpus: machine.gpus?.map(({ name, bytes }) => ({ name, bytes })) ?? null,
    memory_bytes: machine.memoryBytes,
    free_disk_bytes: machine.diskBytes,
    fits_this_machine: misfits.length === 0,
    misfits,
  };
}

export function seriesAsJson({ rows, runs }: TrainSeries): object {
  return {
    rows: rows.map(({ recipe, runs: count, items, srcc, srccSd, plcc, plccSd, epochsToConverge, epochs, seconds }) => ({
      recipe,
      runs: count,
      n: items,
      srcc,
      srcc_sd: srccSd,
      plcc,
      plcc_sd: plccSd,
      epochs_to_converge: epochsToConverge,
      epochs,
      seconds,
    })),
    runs: runs.map(runAsJson),
  };
}
