import { VIEWS, WHOLE } from '../../../bridge/protocol/views.js';
import { QalignError } from '../../base/errors.js';
import type { TrainRecipe } from '../../config/train.js';
import type { FrameForm } from '../../media/views/views.js';
import { viewsOf, type ModelShape } from './memory-estimate.js';

/** The frames that a model takes. */
export function modelForm(shape: ModelShape): FrameForm {
  const views = viewsOf(shape);
  const size = shape.visual_config.visual_model.image_size;
  return views.length === 1 ? { size } : { size, views };
}

/**
 * The prepared frames of the training split.
 * @throws QalignError CONFIG_INVALID if `prepare_size` is set for a model with several views
 */
export function trainForm({ data: { prepare_size: size } }: TrainRecipe, shape: ModelShape): FrameForm {
  const form = modelForm(shape);
  if (size === null || size === form.size) return form;
  if (form.views === undefined) return { size };
  throw new QalignError(
    'CONFIG_INVALID',
    `data.prepare_size is ${size}, but the model sees ${form.views.length} views of ${form.size} pixels, which cannot be cropped; remove prepare_size.`,
  );
}

/**
 * Checks `visual_model.views` of a config.json.
 * @param file name of the file for the message
 * @throws QalignError MODEL_INVALID
 */
export function requireViews({ visual_config: config }: Partial<ModelShape>, file: string): void {
  const views: unknown = config?.visual_model.views ?? WHOLE;
  const isKnown = (view: unknown): boolean => (VIEWS as readonly unknown[]).includes(view);
  if (Array.isArray(views) && views[0] === 'whole' && views.every(isKnown) && new Set(views).size === views.length)
    return;
  throw new QalignError(
    'MODEL_INVALID',
    `${file}: visual_model.views is ${JSON.stringify(views)}; list ${VIEWS.join(' and ')}, each at most once and whole first.`,
  );
}
