/** The boundary of src/recipes/score/curve: scores of the frames of a clip, beside the score of the clip. */
import type { FrameCurve } from '../../../api/frame-curve.js';
import type { FramePrompt } from '../../../engine/index.js';
import { allows, renderPrompt, type PromptTemplate } from '../../../prompts/render.js';
import type { Kind, Task } from '../../../prompts/subject.js';
import { QalignError } from '../../../base/errors.js';
import { supports, type ModelChoice } from '../../../config/models.js';
import { curveRanges, curveStatistics } from '../../../scoring/frame-curve.js';
import type { Scale } from '../../../scoring/levels.js';
import { scoreLogits } from '../../../scoring/score.js';

/** The options of a call that request curves. */
export interface CurveOptions {
  readonly perFrame?: boolean | undefined;
  readonly perFrameWindow?: number | undefined;
}

/** Number of frames of each question, 1 for a curve of single frames; undefined if no curve is requested. */
export const windowOf = ({ perFrame, perFrameWindow }: CurveOptions): number | undefined =>
  perFrameWindow ?? (perFrame === true ? 1 : undefined);

/** A single frame is a picture, so the model gets the image question. A window gets the video question. */
const kindOf = (window: number): Kind => (window === 1 ? 'image' : 'video');

/** @throws QalignError TASK_UNSUPPORTED if the model or the prompt does not have the question of the curve */
export function requireCurve(
  choice: ModelChoice,
  prompt: PromptTemplate,
  tasks: readonly Task[],
  options: CurveOptions,
): void {
  const window = windowOf(options);
  if (window === undefined) return;
  const kind = kindOf(window);
  const lacking = tasks.find((task) => !supports(choice, task, kind) || !allows(prompt, task, kind));
  if (lacking === undefined) return;
  const [what, who] = [
    `${lacking} of ${kind === 'image' ? 'an image' : 'a video'}`,
    supports(choice, lacking, kind) ? `the prompt ${prompt.name}` : choice.id,
  ];
  throw new QalignError(
    'TASK_UNSUPPORTED',
    `A frame curve asks for ${what}, which ${who} does not support; leave out --per-frame, or choose another model or prompt.`,
  );
}

/** The questions of the curves of a clip, and the reader of their answers. */
export interface CurveQuestions {
  /** The questions about a clip of `frames` frames, in the order of the frames, and for each range of the tasks. */
  prompts(frames: number): FramePrompt[];
  /** The curve of the task with this index, from the answers to `prompts` and the times of the frames. */
  curveOf(
    task: number,
    answers: readonly { readonly logits: number[]; readonly logSumExp: number }[],
    times: readonly number[],
    scale: Scale,
  ): FrameCurve;
}

export function curveQuestions(prompt: PromptTemplate, tasks: readonly Task[], window: number): CurveQuestions {
  const texts = tasks.map((task) => renderPrompt(prompt, task, kindOf(window)));
  return {
    prompts: (frames) =>
      curveRanges(frames, window).flatMap((range) => texts.map((text): FramePrompt => ({ text, frames: range }))),
    curveOf(task, answers, times, scale) {
      const ranges = curveRanges(times.length, window);
      const scores = ranges.map((_, at) => {
        const { logits, logSumExp } = answers[at * texts.length + task]!;
        return scoreLogits(logits, logSumExp, scale).score;
      });
      return {
        kind: window === 1 ? 'frame' : 'window',
        window,
        prompt: texts[task]!,
        times_s: ranges.map(([from]) => times[from]!),
        scores,
        ...curveStatistics(scores),
      };
    },
  };
}
