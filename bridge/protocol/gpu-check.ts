import { Type, type Static } from 'typebox';
import { closed, Text } from './shapes.js';

/** A measured value. `goal` and `met` exist if the goals apply to the checked architecture and device. */
export const GpuFigure = closed({
  name: Text,
  value: Type.Number(),
  unit: Text,
  goal: Type.Optional(Type.Number()),
  met: Type.Optional(Type.Boolean()),
});
/** A goal beside its figure. `value` is null if it was not measured, `met` also if the goals do not apply. */
export const GpuGoal = closed({
  name: Text,
  value: Type.Union([Type.Number(), Type.Null()]),
  unit: Text,
  goal: Type.Number(),
  met: Type.Union([Type.Boolean(), Type.Null()]),
});
export const GpuSection = closed({
  seconds: Type.Number({ minimum: 0 }),
  figures: Type.Array(GpuFigure),
  skipped: Type.Array(closed({ part: Text, reason: Text })),
  failed: Type.Array(closed({ part: Text, error: Type.String(), advice: Text })),
  details: Type.Object({}, { additionalProperties: true }),
});

/** The file that `python -m qalign.worker --gpu-check` writes. The weights of the checked model are random. */
export const GpuCheck = closed({
  kind: Type.Literal('qalign_gpu_check'),
  format: Type.Literal(1),
  qalign: Text,
  date: Text,
  architecture: Text,
  weights: Type.Literal('random'),
  precision: Text,
  device: Text,
  device_name: Text,
  torch: Text,
  cuda: Type.Union([Text, Type.Null()]),
  limit_s: Type.Number(),
  seconds: Type.Number({ minimum: 0 }),
  /** "complete", "running", or why it ended early. */
  ended: Text,
  goals: Type.Array(GpuGoal),
  sections: Type.Record(Type.String(), GpuSection),
});

export type GpuFigure = Static<typeof GpuFigure>;
export type GpuGoal = Static<typeof GpuGoal>;
export type GpuSection = Static<typeof GpuSection>;
export type GpuCheck = Static<typeof GpuCheck>;
