import Type, { type Static, type TSchema } from 'typebox';
import { RecipeAugment, RecipeLora, RecipeObjective, RunRecipe } from '../../bridge/protocol/recipe.js';
import { Positive } from '../../bridge/protocol/shapes.js';

const closed = { additionalProperties: false } as const;
const run = Type.Required(RunRecipe).properties;
const objective = Type.Required(RecipeObjective).properties;
const lora = RecipeLora.properties;

/** A value of the run as the user gives it: with a default, and words where its name does not say enough. */
const given = <T extends TSchema>(type: T, fallback: unknown, description?: string): T =>
  Type.With(type, { default: fallback, ...(description === undefined ? {} : { description }) }) as unknown as T;

/** Frames of a clip when a recipe says nothing. */
export const DEFAULT_MAX_FRAMES = 60;

/** A training recipe: everything that changes the result, and where the work is done. */
export const TrainRecipe = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]*$' }),
    model: Type.String({
      description:
        'a name of configs/models, a directory or a hub id: config, tokenizer, preprocessor and, unless init is random, weights',
    }),
    base: Type.Union([Type.String(), Type.Null()], {
      default: null,
      description: 'what the model lies over when it is a LoRA: the two are merged before training',
    }),
    revision: Type.Union([Type.String(), Type.Null()], {
      default: null,
      description: 'commit, tag or branch of a hub model',
    }),
    init: given(run.init, 'pretrained'),
    encoder_weights: given(run.encoder_weights, null),
    data: Type.Object(
      {
        train: Type.Array(Type.String(), { minItems: 1, description: 'JSONL files of records' }),
        dev: Type.Array(Type.String(), { default: [] }),
        root: Type.Union([Type.String(), Type.Null()], {
          default: null,
          description: 'media paths of the records are relative to this; null: to the file',
        }),
        fraction: Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 1 }),
        weights: given(
          run.data.properties.weights,
          {},
          'how often an epoch sees the records of a dataset: 2 twice, 0.5 every second one, another half each epoch',
        ),
        prepare_size: Type.Union([Type.Integer({ minimum: 14 }), Type.Null()], {
          default: null,
          description: "side in pixels before random crops; null: the model's own",
        }),
        mos_range: Type.Union([Type.Tuple([Type.Number(), Type.Number()]), Type.Null()], {
          default: null,
          description: 'the MOS of the records that mean bad and excellent, for soft labels; null: 1 and 5',
        }),
        distortions: Type.Union([Type.Null(), Type.Object({ pictures: given(Positive, 50) }, closed)], {
          default: null,
          description:
            'series of falling quality made of the best-rated training pictures, for objective.series; they are the dataset "distortions" of data.weights',
        }),
        max_frames: Type.Integer({
          minimum: 1,
          default: DEFAULT_MAX_FRAMES,
          description: 'frames of a clip, one a second, evenly thinned out beyond',
        }),
        max_disk_gb: Type.Number({ exclusiveMinimum: 0, default: 100 }),
      },
      closed,
    ),
    objective: Type.Object(
      {
        next_token: given(objective.next_token, 1),
        soft_label: given(objective.soft_label, 0),
        fidelity: given(objective.fidelity, 0),
        in_level: given(objective.in_level, 0),
        series: given(objective.series, 0, 'the fidelity loss of the pairs inside series of falling quality'),
      },
      { ...closed, default: {} },
    ),
    fixed_pair_std: given(run.fixed_pair_std, true),
    prompts: Type.Array(Type.String(), {
      default: [],
      description:
        'prompts of configs/prompts that records are asked with in turn, as in scoring; empty: the published training form',
    }),
    score_text: given(run.score_text, false, 'the answer names the score ("3.45") instead of a level'),
    soft_label_sigma: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()], {
      default: null,
      description: 'std on 1–5 of soft labels made from the MOS; null: the records bring their own',
    }),
    lora: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            r: given(lora.r, 128),
            alpha: given(lora.alpha, 256),
            dropout: given(lora.dropout, 0.05),
            abstractor: given(lora.abstractor, true),
            quantise_base: given(
              lora.quantise_base,
              null,
              'hold the frozen matrices of the language model in 8 or 4 bits',
            ),
          },
          closed,
        ),
      ],
      { default: null },
    ),
    freeze: given(run.freeze, []),
    train_stages_from: given(
      run.train_stages_from,
      null,
      'of a frozen efficientnet_lite0 encoder, the stages from this one on are trained all the same',
    ),
    cache_features: given(run.cache_features, false),
    epochs: given(run.epochs, 2),
    max_steps: given(run.max_steps, null),
    batch_size: given(run.batch_size, 64),
    micro_batch: given(run.micro_batch, 16),
    learning_rates: run.learning_rates,
    schedule: given(run.schedule, 'cosine'),
    warmup: given(run.warmup, 0.03),
    weight_decay: given(run.weight_decay, 0),
    betas: given(run.betas, [0.9, 0.999]),
    clip: given(run.clip, 1),
    optimizer: given(run.optimizer, 'adamw'),
    weights: given(run.weights, 'fp32'),
    compute: Type.Union([...run.compute.anyOf, Type.Null()], {
      default: null,
      description: 'precision of the matrix products; null: bf16 on a GPU, fp32 on a CPU',
    }),
    ema: given(
      run.ema,
      null,
      'decay a step of an average of the weights, which is then what is evaluated and exported',
    ),
    recompute: given(run.recompute, true, 'activation checkpointing per block'),
    dropout: given(run.dropout, 0),
    token_dropout: given(run.token_dropout, 0, 'share of the image tokens that a training step does not look at'),
    channel_dropout: given(
      run.channel_dropout,
      0,
      'share of the measurements of an efficientnet_lite0 encoder that a picture shows without, others in each step',
    ),
    augment: Type.Object({ flip: given(RecipeAugment.properties.flip, false) }, { ...closed, default: {} }),
    seed: given(run.seed, 0),
    device: given(run.device, 'cuda'),
    processes: given(Positive, 1),
    hosts: given(Positive, 1),
    rendezvous: Type.Union([Type.String({ pattern: '^[^:\\s]+:\\d+$' }), Type.Null()], {
      default: null,
      description: 'host:port of the first host, when there are several',
    }),
    gpu_gb: Type.Number({ exclusiveMinimum: 0, default: 80 }),
    save_every: given(run.save_every, 500),
    keep_checkpoints: given(run.keep_checkpoints, 2),
    trackers: given(run.trackers, []),
  },
  closed,
);
export type TrainRecipe = Static<typeof TrainRecipe>;
