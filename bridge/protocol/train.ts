import { Type, type Static, type TSchema } from 'typebox';

/**
 * The events of a training run. Rank 0 of the Python side appends every event to `events.jsonl`, one object per line.
 * It then sends the event as `progress` of the `train` request. The file survives a crash of either side, and the
 * message arrives at once. A process that did not start the run follows the file.
 */
const closed = { additionalProperties: false } as const;
const named = <K extends string>(event: K) => Type.Literal(event, { description: 'name of the event' });
const time = Type.Number({ description: 'seconds since 1970' });
const at = <K extends string, P extends Record<string, TSchema>>(event: K, properties: P) =>
  Type.Object({ event: named(event), time, ...properties }, closed);

const count = (description: string) => Type.Integer({ minimum: 0, description });
const text = (description: string) => Type.String({ description });
const measured = (description: string) => Type.Union([Type.Number(), Type.Null()], { description });
const step = count('number of updates so far');

export const TrainStarted = at('started', {
  step,
  total_steps: count('total number of updates of the run'),
  steps_per_epoch: count('number of updates per epoch'),
  processes: count('number of processes'),
  device: text('device of the first process'),
  parameters: count('number of parameters of the model'),
  trainable: count('number of trained parameters'),
  items: count('number of training records'),
  skipped: count('number of damaged or missing files that the preparation skipped'),
});
export const TrainMeasured = at('measured', {
  done: count('number of pictures and frames with computed features'),
  total: count('total number of pictures and frames'),
});
export const TrainResumed = at('resumed', { step, checkpoint: text('path of the checkpoint') });
export const TrainStep = at('step', {
  step,
  epoch: Type.Number({ description: 'number of epochs so far, with a fraction' }),
  loss: measured('weighted sum of the loss terms'),
  terms: Type.Object(
    {
      next_token: measured('cross entropy of the answer'),
      soft_label: measured('KL divergence from the soft label'),
      fidelity: measured('fidelity loss of pairs'),
      in_level: measured('probability outside the level words'),
      series: measured('fidelity loss of pairs in series of falling quality'),
    },
    { ...closed, description: 'unweighted loss terms; null: not computed' },
  ),
  learning_rate: Type.Number({ description: 'learning rate of this update' }),
  grad_norm: measured('norm of the gradient before it was clipped'),
  images_per_s: Type.Number({ description: 'pictures and frames per second' }),
  mfu: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
    description:
      "fraction of the device's peak that the matrix products of the model used, without recomputation; null if the peak is unknown",
  }),
  memory_bytes: Type.Integer({
    minimum: 0,
    description: 'peak memory so far: of the GPU allocator, or of the process on a CPU',
  }),
});
export const TrainEvaluation = at('evaluation', {
  step,
  srcc: measured('Spearman rank correlation on the dev split'),
  plcc: measured('Pearson correlation on the dev split'),
  items: count('number of evaluated records'),
  score_std: measured('standard deviation of the scores'),
  level_mass: measured('mean probability of the level words'),
});
export const TrainCheckpoint = at('checkpoint', { step, path: text('folder of the checkpoint') });
export const TrainBest = at('best', {
  step,
  metric: text('metric of keep_best'),
  value: Type.Number({ description: 'its value on the dev split, the highest so far' }),
  path: text('folder of the checkpoint'),
});
export const TrainCheckpointFailed = at('checkpoint_failed', {
  step,
  message: text('reason why the checkpoint was not written'),
});
export const TrainTrackerFailed = at('tracker_failed', {
  tracker: text('name of the tracker'),
  message: text('reason of the failure'),
});
export const TrainExported = at('exported', { path: text('folder of the model') });
export const TrainEnd = Type.Object(
  {
    event: named('end'),
    time,
    status: Type.Union([Type.Literal('completed'), Type.Literal('stopped'), Type.Literal('failed')], {
      description: 'final status of the run',
    }),
    step: Type.Optional(step),
    code: Type.Optional(text('code of the error registry, for a failed run')),
    message: Type.Optional(text('reason of the failure')),
  },
  closed,
);

export const TrainEvent = Type.Union([
  TrainMeasured,
  TrainStarted,
  TrainResumed,
  TrainStep,
  TrainEvaluation,
  TrainCheckpoint,
  TrainBest,
  TrainCheckpointFailed,
  TrainTrackerFailed,
  TrainExported,
  TrainEnd,
]);
/** One line of `events.jsonl`. `event` is its type: started, step, evaluation, checkpoint, end, … */
export type TrainEvent = Static<typeof TrainEvent>;

/** Trains or resumes the run in the directory `run`, which Node has prepared. */
export const TrainParams = Type.Object({ run: Type.String({ minLength: 1 }) }, closed);
export const TrainResult = Type.Object({ status: Type.Enum(['completed', 'stopped']), step }, closed);
