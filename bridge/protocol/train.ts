import { Type, type Static, type TSchema } from 'typebox';

/**
 * The events of a training run. Rank 0 of the Python side appends every event to `events.jsonl`, one object per line.
 * It then sends the event as `progress` of the `train` request. The file survives a crash of either side, and the
 * message arrives at once. A process that did not start the run follows the file.
 */
const closed = { additionalProperties: false } as const;
const at = <K extends string, P extends Record<string, TSchema>>(event: K, properties: P) =>
  Type.Object(
    { event: Type.Literal(event), time: Type.Number({ description: 'seconds since 1970' }), ...properties },
    closed,
  );

const count = Type.Integer({ minimum: 0 });
const measured = Type.Union([Type.Number(), Type.Null()]);

export const TrainStarted = at('started', {
  step: count,
  total_steps: count,
  steps_per_epoch: count,
  processes: count,
  device: Type.String(),
  parameters: count,
  trainable: count,
  items: Type.Integer({ minimum: 0, description: 'records to train on' }),
  skipped: Type.Integer({ minimum: 0, description: 'damaged or missing files left out when the data was prepared' }),
});
export const TrainMeasured = at('measured', { done: count, total: count });
export const TrainResumed = at('resumed', { step: count, checkpoint: Type.String() });
export const TrainStep = at('step', {
  step: count,
  epoch: Type.Number(),
  loss: measured,
  terms: Type.Object(
    { next_token: measured, soft_label: measured, fidelity: measured, in_level: measured, series: measured },
    closed,
  ),
  learning_rate: Type.Number(),
  grad_norm: measured,
  images_per_s: Type.Number(),
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
  step: count,
  srcc: measured,
  plcc: measured,
  items: count,
  score_std: measured,
  level_mass: measured,
});
export const TrainCheckpoint = at('checkpoint', { step: count, path: Type.String() });
export const TrainCheckpointFailed = at('checkpoint_failed', { step: count, message: Type.String() });
export const TrainTrackerFailed = at('tracker_failed', { tracker: Type.String(), message: Type.String() });
export const TrainExported = at('exported', { path: Type.String() });
export const TrainEnd = Type.Object(
  {
    event: Type.Literal('end'),
    time: Type.Number(),
    status: Type.Union([Type.Literal('completed'), Type.Literal('stopped'), Type.Literal('failed')]),
    step: Type.Optional(count),
    code: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
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
export const TrainResult = Type.Object({ status: Type.Enum(['completed', 'stopped']), step: count }, closed);
