import type { ChatSettings } from '../../bridge/protocol/chat.js';
import type { Backend, LoadModelParams, WarmUp } from '../../bridge/protocol/models.js';

/** A model and how a worker loads it. */
export interface ModelToLoad {
  /** A directory or a hub id. */
  readonly model: string;
  readonly revision?: string | undefined;
  /** Base model of a LoRA adapter. */
  readonly base?: string | undefined;
  readonly baseRevision?: string | undefined;
  /** Default: mplug_owl2. */
  readonly backend?: Backend | undefined;
  /** How a model of transformers is asked. */
  readonly chat?: ChatSettings | undefined;
  readonly device: string;
  readonly precision?: LoadModelParams['precision'] | undefined;
  readonly offline?: boolean | undefined;
  readonly cacheDir?: string | undefined;
  /** The bits of an item's answers do not depend on its batch. */
  readonly deterministic?: boolean | undefined;
  /** The requests that a GPU is prepared for. */
  readonly warmUp?: WarmUp | undefined;
}

/** Builds the parameters of `load_model`. All callers use this function, so that none omits a revision. */
export function loadModelParams(model: ModelToLoad): LoadModelParams {
  return {
    model: model.model,
    device: model.device,
    precision: model.precision ?? 'auto',
    offline: model.offline ?? false,
    ...(model.revision === undefined ? {} : { revision: model.revision }),
    ...(model.base === undefined ? {} : { base: model.base }),
    ...(model.baseRevision === undefined ? {} : { base_revision: model.baseRevision }),
    ...(model.cacheDir === undefined ? {} : { cache_dir: model.cacheDir }),
    ...(model.deterministic === true ? { deterministic: true } : {}),
    ...(model.backend === 'transformers'
      ? { backend: model.backend, chat: model.chat ?? { thinking: false } }
      : model.warmUp === undefined
        ? {}
        : { warm_up: model.warmUp }),
  };
}
