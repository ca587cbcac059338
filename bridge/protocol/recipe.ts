import { Type, type Static } from 'typebox';
import { ChatSettings } from './chat.js';
import { closed, Count, Positive, Text } from './shapes.js';

const rate = Type.Number({ exclusiveMinimum: 0 });
const share = Type.Number({ minimum: 0, maximum: 1 });
const dropout = Type.Number({ minimum: 0, exclusiveMaximum: 1 });
const weight = Type.Number({ minimum: 0 });
const precision = Type.Union([Type.Literal('fp32'), Type.Literal('bf16')]);

/** The weight of each loss term. `series` was added later and is missing in older runs. */
export const RecipeObjective = closed({
  next_token: weight,
  soft_label: weight,
  fidelity: weight,
  in_level: weight,
  series: Type.Optional(weight),
});
export const RecipeLora = closed({
  r: Positive,
  alpha: Type.Number({ exclusiveMinimum: 0 }),
  dropout: share,
  abstractor: Type.Boolean(),
  quantise_base: Type.Union([Type.Null(), Type.Literal('int8'), Type.Literal('nf4')]),
});
/** A part without its own rate uses `default`. */
export const RecipeLearningRates = closed({
  default: rate,
  vision: Type.Optional(rate),
  abstractor: Type.Optional(rate),
  merger: Type.Optional(rate),
  language: Type.Optional(rate),
  lora: Type.Optional(rate),
});
export const RecipeAugment = closed({ flip: Type.Boolean() });
const dataset = Type.Record(Type.String(), Type.Number({ exclusiveMinimum: 0, maximum: 100 }));

/**
 * The part of `recipe.json` that Python reads. The file is the resolved recipe of a run directory. The user's schema,
 * src/config/train.ts, uses these types and adds defaults and descriptions. Keys that were added later are optional,
 * because older runs must still resume.
 *
 * The recipe and its `data` are open: TypeScript writes other keys (name, prompts, processes, …) to the same file.
 * Objects that Python reads completely are closed, because an unknown loss term or learning rate would have no effect.
 */
export const RunRecipe = Type.Object(
  {
    model: Text,
    model_path: Text,
    /** The base model, if `model_path` is a LoRA directory. */
    base_path: Type.Union([Text, Type.Null()]),
    /** The code of the model and how it is asked, only for models of transformers. */
    backend: Type.Optional(Type.Literal('transformers')),
    chat: Type.Optional(ChatSettings),
    /** The folder of prepared pictures. */
    data_path: Text,
    init: Type.Union([Type.Literal('pretrained'), Type.Literal('random')]),
    encoder_weights: Type.Union([Type.String(), Type.Null()]),
    data: Type.Object({ weights: dataset, leave_out: Type.Optional(Type.Array(Text)) }, { additionalProperties: true }),
    objective: RecipeObjective,
    fixed_pair_std: Type.Boolean(),
    score_text: Type.Boolean(),
    lora: Type.Union([Type.Null(), RecipeLora]),
    /** `abstractor` is a part of mPLUG-Owl2, `merger` a part of models of transformers. */
    freeze: Type.Array(
      Type.Union([
        Type.Literal('vision'),
        Type.Literal('abstractor'),
        Type.Literal('merger'),
        Type.Literal('language'),
      ]),
    ),
    train_stages_from: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 6 }), Type.Null()])),
    cache_features: Type.Boolean(),
    epochs: Positive,
    max_steps: Type.Union([Positive, Type.Null()]),
    batch_size: Positive,
    micro_batch: Positive,
    learning_rates: RecipeLearningRates,
    schedule: Type.Union([Type.Literal('cosine'), Type.Literal('one_cycle'), Type.Literal('constant')]),
    warmup: share,
    weight_decay: Type.Number({ minimum: 0 }),
    betas: Type.Tuple([share, share]),
    clip: Type.Number({ exclusiveMinimum: 0 }),
    optimizer: Type.Union([Type.Literal('adamw'), Type.Literal('adamw_8bit')]),
    weights: precision,
    compute: precision,
    export_weights: Type.Optional(
      Type.Union([Type.Literal('fp32'), Type.Literal('bf16'), Type.Literal('fp16'), Type.Null()]),
    ),
    ema: Type.Union([Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), Type.Null()]),
    /** A number is the share of the blocks that are recomputed. */
    recompute: Type.Union([Type.Boolean(), share]),
    kernels: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('plain')])),
    dropout,
    token_dropout: Type.Optional(dropout),
    channel_dropout: Type.Optional(dropout),
    augment: RecipeAugment,
    seed: Count,
    device: Type.Union([Type.Literal('cpu'), Type.Literal('cuda')]),
    save_every: Positive,
    keep_checkpoints: Positive,
    keep_best: Type.Optional(Type.Union([Type.Literal('srcc'), Type.Literal('plcc'), Type.Null()])),
    /** What each process keeps whole between the micro-batches of an update; older runs keep nothing. */
    keep_unsharded: Type.Optional(
      Type.Union([Type.Literal('nothing'), Type.Literal('gradients'), Type.Literal('all')]),
    ),
    trackers: Type.Array(Type.Union([Type.Literal('tensorboard'), Type.Literal('wandb'), Type.Literal('mlflow')])),
    /** Number of damaged or missing files that the preparation skipped. */
    skipped: Count,
  },
  { additionalProperties: true },
);
export type RunRecipe = Static<typeof RunRecipe>;
