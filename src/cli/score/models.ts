import { QalignError } from '../../base/errors.js';
import { chooseModel, requirePrompt, requireTasks, type ModelChoice } from '../../config/models.js';
import { loadPrompt } from '../../config/prompts.js';
import type { PromptTemplate } from '../../prompts/render.js';
import type { Task } from '../../prompts/subject.js';
import type { Calibrator } from '../../recipes/evaluate/calibration-file.js';
import { defaultTasks, requireWholeInputs } from '../../recipes/score/call-options.js';
import { requireDevices } from '../../recipes/score/devices.js';
import type { ScorerOptions } from '../../recipes/score/scorer.js';
import type { ScoreRequest } from './request.js';

/** One model of a run, before it is loaded. */
export interface ModelPlan {
  readonly options: ScorerOptions;
  readonly choice: ModelChoice;
  readonly tasks: readonly Task[];
  readonly prompt: PromptTemplate;
  /**
   * The calibrator for a version of the scorer.
   * @throws QalignError RESUME_MISMATCH for a calibration of other scores
   */
  calibratorOf(scoreVersion: string): Calibrator | undefined;
}

/**
 * Resolves the models, tasks and prompts of a request, without loading a model.
 *
 * @throws QalignError CONFIG_NOT_FOUND, CONFIG_INVALID, TASK_UNSUPPORTED; USAGE if two names are the same model
 */
export async function planModels(
  request: Pick<ScoreRequest, 'calibration' | 'scorers' | 'tasks'> & Partial<Pick<ScoreRequest, 'map' | 'curve'>>,
): Promise<ModelPlan[]> {
  const calibratorOf = await calibratorsOf(request.calibration);
  const plans: ModelPlan[] = [];
  for (const options of request.scorers) {
    const choice = await chooseModel(options);
    const tasks = request.tasks.length > 0 ? request.tasks : defaultTasks({ choice });
    await requireTasks(choice, tasks);
    const prompt = await loadPrompt(options.prompt ?? choice.prompt);
    requirePrompt(choice, prompt);
    requireWholeInputs(choice, { map: request.map, ...request.curve });
    if (options.device !== undefined) requireDevices(options.device);
    const same = plans.find(
      ({ choice: { model, revision } }) => model === choice.model && revision === choice.revision,
    );
    if (same !== undefined)
      throw new QalignError(
        'USAGE',
        `qalign score: --model ${same.choice.id} and --model ${choice.id} are the same model; name it once.`,
      );
    plans.push({
      options,
      choice,
      tasks,
      prompt,
      calibratorOf,
    });
  }
  return plans;
}

async function calibratorsOf(file: string | undefined): Promise<ModelPlan['calibratorOf']> {
  if (file === undefined) return () => undefined;
  const { createCalibrator, loadCalibration } = await import('../../recipes/evaluate/calibration-file.js');
  const calibration = await loadCalibration(file);
  return (version) => createCalibrator(calibration, version);
}
