import { Type, type Static } from 'typebox';

const closed = { additionalProperties: false } as const;
const share = Type.Number({ minimum: 0, maximum: 1 });
const whole = (fallback: number) => Type.Integer({ minimum: 1, default: fallback });

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
    init: Type.Union([Type.Literal('pretrained'), Type.Literal('random')], { default: 'pretrained' }),
    encoder_weights: Type.Union([Type.String(), Type.Null()], { default: null }),
    data: Type.Object(
      {
        train: Type.Array(Type.String(), { minItems: 1, description: 'JSONL files of records' }),
        dev: Type.Array(Type.String(), { default: [] }),
        root: Type.Union([Type.String(), Type.Null()], {
          default: null,
          description: 'media paths of the records are relative to this; null: to the file',
        }),
        fraction: Type.Number({ exclusiveMinimum: 0, maximum: 1, default: 1 }),
        weights: Type.Record(Type.String(), Type.Number({ exclusiveMinimum: 0, maximum: 100 }), {
          default: {},
          description:
            'how often an epoch sees the records of a dataset: 2 twice, 0.5 every second one, another half each epoch',
        }),
        prepare_size: Type.Union([Type.Integer({ minimum: 14 }), Type.Null()], {
          default: null,
          description: "side in pixels before random crops; null: the model's own",
        }),
        mos_range: Type.Union([Type.Tuple([Type.Number(), Type.Number()]), Type.Null()], {
          default: null,
          description: 'the MOS of the records that mean bad and excellent, for soft labels; null: 1 and 5',
        }),
        distortions: Type.Union([Type.Null(), Type.Object({ pictures: whole(50) }, closed)], {
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
        next_token: Type.Number({ minimum: 0, default: 1 }),
        soft_label: Type.Number({ minimum: 0, default: 0 }),
        fidelity: Type.Number({ minimum: 0, default: 0 }),
        in_level: Type.Number({ minimum: 0, default: 0 }),
        series: Type.Number({
          minimum: 0,
          default: 0,
          description: 'the fidelity loss of the pairs inside series of falling quality',
        }),
      },
      { ...closed, default: {} },
    ),
    fixed_pair_std: Type.Boolean({ default: true }),
    prompts: Type.Array(Type.String(), {
      default: [],
      description:
        'prompts of configs/prompts that records are asked with in turn, as in scoring; empty: the published training form',
    }),
    score_text: Type.Boolean({ default: false, description: 'the answer names the score ("3.45") instead of a level' }),
    soft_label_sigma: Type.Union([Type.Number({ exclusiveMinimum: 0 }), Type.Null()], {
      default: null,
      description: 'std on 1–5 of soft labels made from the MOS; null: the records bring their own',
    }),
    lora: Type.Union(
      [
        Type.Null(),
        Type.Object(
          {
            r: whole(128),
            alpha: Type.Number({ exclusiveMinimum: 0, default: 256 }),
            dropout: Type.Number({ minimum: 0, maximum: 1, default: 0.05 }),
            abstractor: Type.Boolean({ default: true }),
            quantise_base: Type.Union([Type.Null(), Type.Literal('int8'), Type.Literal('nf4')], {
              default: null,
              description: 'hold the frozen matrices of the language model in 8 or 4 bits',
            }),
          },
          closed,
        ),
      ],
      { default: null },
    ),
    freeze: Type.Array(Type.Union([Type.Literal('vision'), Type.Literal('abstractor'), Type.Literal('language')]), {
      default: [],
    }),
    train_stages_from: Type.Union([Type.Integer({ minimum: 1, maximum: 6 }), Type.Null()], {
      default: null,
      description: 'of a frozen efficientnet_lite0 encoder, the stages from this one on are trained all the same',
    }),
    cache_features: Type.Boolean({ default: false }),
    epochs: whole(2),
    max_steps: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], { default: null }),
    batch_size: whole(64),
    micro_batch: whole(16),
    learning_rates: Type.Object(
      {
        default: Type.Number({ exclusiveMinimum: 0 }),
        vision: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
        abstractor: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
        language: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
        lora: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      },
      closed,
    ),
    schedule: Type.Union([Type.Literal('cosine'), Type.Literal('one_cycle'), Type.Literal('constant')], {
      default: 'cosine',
    }),
    warmup: Type.Number({ minimum: 0, maximum: 1, default: 0.03 }),
    weight_decay: Type.Number({ minimum: 0, default: 0 }),
    betas: Type.Tuple([share, share], { default: [0.9, 0.999] }),
    clip: Type.Number({ exclusiveMinimum: 0, default: 1 }),
    optimizer: Type.Union([Type.Literal('adamw'), Type.Literal('adamw_8bit')], { default: 'adamw' }),
    weights: Type.Union([Type.Literal('fp32'), Type.Literal('bf16')], { default: 'fp32' }),
    compute: Type.Union([Type.Literal('fp32'), Type.Literal('bf16'), Type.Null()], {
      default: null,
      description: 'precision of the matrix products; null: bf16 on a GPU, fp32 on a CPU',
    }),
    ema: Type.Union([Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), Type.Null()], {
      default: null,
      description: 'decay a step of an average of the weights, which is then what is evaluated and exported',
    }),
    recompute: Type.Boolean({ default: true, description: 'activation checkpointing per block' }),
    dropout: Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0 }),
    token_dropout: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0,
      description: 'share of the image tokens that a training step does not look at',
    }),
    channel_dropout: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0,
      description:
        'share of the measurements of an efficientnet_lite0 encoder that a picture shows without, others in each step',
    }),
    augment: Type.Object({ flip: Type.Boolean({ default: false }) }, { ...closed, default: {} }),
    seed: Type.Integer({ minimum: 0, default: 0 }),
    device: Type.Union([Type.Literal('cpu'), Type.Literal('cuda')], { default: 'cuda' }),
    processes: whole(1),
    hosts: whole(1),
    rendezvous: Type.Union([Type.String({ pattern: '^[^:\\s]+:\\d+$' }), Type.Null()], {
      default: null,
      description: 'host:port of the first host, when there are several',
    }),
    gpu_gb: Type.Number({ exclusiveMinimum: 0, default: 80 }),
    save_every: whole(500),
    keep_checkpoints: whole(2),
    trackers: Type.Array(Type.Union([Type.Literal('tensorboard'), Type.Literal('wandb'), Type.Literal('mlflow')]), {
      default: [],
    }),
  },
  closed,
);
export type TrainRecipe = Static<typeof TrainRecipe>;
