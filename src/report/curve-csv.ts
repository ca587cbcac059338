import { csvCell } from './csv.js';

/** The fields of a result that its curve is written with. */
export interface CurveRow {
  readonly input: string;
  readonly task: string;
  readonly scale: string;
  readonly model: { readonly id: string };
  readonly frame_curve?: {
    readonly window: number;
    readonly times_s: readonly number[];
    readonly scores: readonly number[];
  };
}

export const CURVE_HEADER = 'input,task,model,scale,window,index,time_s,score';

/** A line of CSV for each frame or window of a clip, without line ends; none without a curve. */
export function curveLines({ input, task, scale, model, frame_curve: curve }: CurveRow): string[] {
  if (curve === undefined) return [];
  const start = [input, task, model.id, scale, curve.window].map(csvCell).join(',');
  return curve.scores.map((score, index) => `${start},${index},${curve.times_s[index] ?? ''},${score}`);
}
