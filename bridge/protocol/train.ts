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
const step = count('updates so far');

export const TrainStarted = at('started', {
  step,
  total_steps: count('updates of the whole run'),
  steps_per_epoch: count('updates of one epoch'),
  processes: count('processes that train'),
  device: text('device of the first process'),
  parameters: count('parameters of the model'),
  trainable: count('parameters that are trained'),
  items: count('records to train on'),
  skipped: count('damaged or missing files left out when the data was prepared'),
});
export const TrainMeasured = at('measured', {
  done: count('pictures and frames whose features are computed'),
  total: count('pictures and frames in total'),
});
export const TrainResumed = at('resumed', { step, checkpoint: text('path of the checkpoint') });
export const TrainStep = at('step', {
  step,
  epoch: Type.Number({ description: 'epochs so far' }),
  loss: measured('weighted sum of the terms'),
  terms: Type.Object(
    {
      next_token: measured('cross entropy of the answer'),
      soft_label: measured('divergence from the soft label'),
      fidelity: measured('fidelity loss of pairs'),
      in_level: measured('probability that the level words lack'),
      series: measured('fidelity loss of pairs in series of falling quality'),
    },
    { ...closed, description: 'loss terms before their weights; null: not computed' },
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
    description: 'highest value so far: of the GPU allocator, or on a CPU of the process',
  }),
});
export const TrainEvaluation = at('evaluation', {
  step,
  srcc: measured('Spearman rank correlation on the dev split'),
  plcc: measured('Pearson correlation on the dev split'),
  items: count('records of the dev split'),
  score_std: measured('standard deviation of the scores'),
  level_mass: measured('mean probability of the level words'),
});
export const TrainCheckpoint = at('checkpoint', { step, path: text('folder of the checkpoint') });
export const TrainCheckpointFailed = at('checkpoint_failed', { step, message: text('why it was not written') });
export const TrainTrackerFailed = at('tracker_failed', {
  tracker: text('name of the tracker'),
  message: text('why it failed'),
});
export const TrainExported = at('exported', { path: text('folder of the model') });
export const TrainEnd = Type.Object(
  {
    event: named('end'),
    time,
    status: Type.Union([Type.Literal('completed'), Type.Literal('stopped'), Type.Literal('failed')], {
      description: 'how the run ended',
    }),
    step: Type.Optional(step),
    code: Type.Optional(text('a code of the error registry, of a failed run')),
    message: Type.Optional(text('why it failed')),
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
