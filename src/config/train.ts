import Type, { type Static, type TSchema } from 'typebox';
import {
  RecipeAugment,
  RecipeLearningRates,
  RecipeLora,
  RecipeObjective,
  RunRecipe,
} from '../../bridge/protocol/recipe.js';
import { Positive } from '../../bridge/protocol/shapes.js';

const closed = { additionalProperties: false } as const;
const run = Type.Required(RunRecipe).properties;
const objective = Type.Required(RecipeObjective).properties;
const rates = RecipeLearningRates.properties;
const lora = RecipeLora.properties;

/** Adds the description of a key, and its example. */
const told = <T extends TSchema>(type: T, description: string, example?: unknown): T =>
  Type.With(type, { description, ...(example === undefined ? {} : { examples: [example] }) }) as unknown as T;

/** A key that can be left out. */
const given = <T extends TSchema>(type: T, fallback: unknown, description: string, example?: unknown): T =>
  Type.With(told(type, description, example), { default: fallback }) as unknown as T;

const orNull = <T extends TSchema>(type: T) => Type.Union([type, Type.Null()]);

/** The default number of frames of a clip. */
export const DEFAULT_MAX_FRAMES = 60;

const Data = Type.Object(
  {
    train: told(Type.Array(Type.String(), { minItems: 1 }), 'JSONL files of the records to train on', [
      'data/koniq/train.jsonl',
    ]),
    dev: given(Type.Array(Type.String()), [], 'JSONL files of the records that each epoch is evaluated on', [
      'data/koniq/dev.jsonl',
    ]),
    root: given(
      orNull(Type.String()),
      null,
      'folder that the media paths of the records are relative to; null: the folder of each file of records',
    ),
    fraction: given(
      Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
      1,
      'share of the training records that is used, drawn at random with the seed',
      0.2,
    ),
    weights: given(
      run.data.properties.weights,
      {},
      'how often an epoch uses the records of a dataset: 2: twice; 0.5: half of them, a different half each epoch',
      { koniq10k: 1, spaq: 0.5 },
    ),
    prepare_size: given(
      orNull(Type.Integer({ minimum: 14 })),
      null,
      "side in pixels before random crops; null: the model's own",
    ),
    mos_range: given(
      orNull(Type.Tuple([Type.Number(), Type.Number()])),
      null,
      'MOS of bad and of excellent, for soft labels; null: 1 and 5',
      [0, 100],
    ),
    distortions: given(
      Type.Union([
        Type.Null(),
        Type.Object(
          { pictures: given(Positive, 50, 'number of best-rated pictures that a series is made from') },
          closed,
        ),
      ]),
      null,
      'series of falling quality made from the best-rated training pictures, for objective.series; their name in data.weights is "distortions"; null: none',
    ),
    max_frames: given(
      Type.Integer({ minimum: 1 }),
      DEFAULT_MAX_FRAMES,
      'maximum number of frames of a clip. Clips give one frame per second; of longer clips, evenly spread frames are used',
    ),
    max_disk_gb: given(
      Type.Number({ exclusiveMinimum: 0 }),
      100,
      'disk in GB that the prepared pixels may take; a run that needs more is refused',
    ),
  },
  { ...closed, description: 'the records, and how they are prepared' },
);

const Objective = Type.Object(
  {
    next_token: given(objective.next_token, 1, 'weight of the cross entropy of the answer, as in Q-Align'),
    soft_label: given(
      objective.soft_label,
      0,
      'weight of the divergence from the soft label at the level word, as in DeQA-Score',
    ),
    fidelity: given(objective.fidelity, 0, 'weight of the fidelity loss of the pairs of one dataset in a micro-batch'),
    in_level: given(objective.in_level, 0, 'weight of the probability that is not on the five level words'),
    series: given(objective.series, 0, 'weight of the fidelity loss of the pairs inside series of falling quality'),
  },
  {
    ...closed,
    default: {},
    description: 'the weight of each loss term; a term of weight 0 is not computed',
    examples: [{ next_token: 0.05, soft_label: 1, fidelity: 1 }],
  },
);

const LearningRates = Type.Object(
  {
    default: given(rates.default, 2e-5, 'rate of every part without a rate of its own'),
    vision: told(rates.vision, 'rate of the vision encoder'),
    abstractor: told(rates.abstractor, 'rate of the abstractor between encoder and language model'),
    language: told(rates.language, 'rate of the language model'),
    lora: told(rates.lora, 'rate of the LoRA matrices'),
  },
  {
    ...closed,
    default: {},
    description: 'the highest learning rate of each part of the model',
    examples: [{ default: 2e-5, abstractor: 1e-5 }],
  },
);

const Lora = Type.Object(
  {
    r: given(lora.r, 128, 'rank of the matrices'),
    alpha: given(lora.alpha, 256, 'the product of the matrices is multiplied by alpha / r'),
    dropout: given(
      lora.dropout,
      0.05,
      'dropout of the inputs of the matrices: the share that each training step drops',
    ),
    abstractor: given(lora.abstractor, true, 'also train all weights of the abstractor'),
    quantise_base: given(
      lora.quantise_base,
      null,
      'store the frozen matrices of the language model in 8 or 4 bits; null: in the precision of the key weights',
      'nf4',
    ),
  },
  closed,
);

/** A training recipe: everything that changes the result, and where the training runs. */
export const TrainRecipe = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-z0-9][a-z0-9._-]*$',
      description: 'name of the run; its directory is runs/NAME',
      examples: ['koniq'],
    }),
    model: Type.String({
      description:
        'a name of configs/models, a directory or a hub id: config, tokenizer, preprocessor and, unless init is random, weights',
      examples: ['mplug-owl2'],
    }),
    base: given(
      orNull(Type.String()),
      null,
      'base model, where the model is a LoRA: the two are merged before training',
    ),
    revision: given(orNull(Type.String()), null, 'commit, tag or branch of a hub model'),
    init: given(run.init, 'pretrained', 'random: begin with random weights of this architecture'),
    encoder_weights: given(
      run.encoder_weights,
      null,
      'file of the weights that the vision encoder begins with; only with init random',
    ),
    data: Data,
    objective: Objective,
    fixed_pair_std: given(
      run.fixed_pair_std,
      true,
      'true: the fidelity loss uses a standard deviation of 1; false: that of the predicted levels',
    ),
    prompts: given(
      Type.Array(Type.String()),
      [],
      'names of configs/prompts, which the records use in turn, as in scoring; empty: the form of the published training code',
      ['default'],
    ),
    score_text: given(run.score_text, false, 'the answer names the score ("3.45") instead of a level'),
    soft_label_sigma: given(
      orNull(Type.Number({ exclusiveMinimum: 0 })),
      null,
      'standard deviation, on the scale 1 to 5, of soft labels made from the MOS; null: soft labels of the records',
      0.5,
    ),
    lora: given(
      Type.Union([Type.Null(), Lora]),
      null,
      'train low-rank matrices beside frozen weights; null: train the weights themselves',
      {
        r: 128,
        alpha: 256,
      },
    ),
    freeze: given(run.freeze, [], 'parts of the model that are not trained', ['vision']),
    train_stages_from: given(
      run.train_stages_from,
      null,
      'first stage of a frozen efficientnet_lite0 encoder that is still trained; null: none',
    ),
    cache_features: given(
      run.cache_features,
      false,
      'compute the output of a frozen vision encoder once for each picture, not in each epoch',
    ),
    epochs: given(run.epochs, 2, 'passes over the training records'),
    max_steps: given(run.max_steps, null, 'maximum number of updates; null: all epochs'),
    batch_size: given(
      run.batch_size,
      64,
      'records of one update, over all processes; a multiple of micro_batch times processes',
    ),
    micro_batch: given(
      run.micro_batch,
      16,
      'records that one process computes at a time; a smaller number needs less memory',
    ),
    learning_rates: LearningRates,
    schedule: given(
      run.schedule,
      'cosine',
      'the learning rate after the warm-up: a half cosine to 0, or constant; one_cycle also warms up by a cosine',
    ),
    warmup: given(run.warmup, 0.03, 'share of the updates in which the learning rate rises'),
    weight_decay: given(run.weight_decay, 0, 'decoupled weight decay of matrices; vectors have none'),
    betas: given(run.betas, [0.9, 0.999], 'beta1 and beta2 of AdamW'),
    clip: given(run.clip, 1, 'maximum norm of the gradient of an update; a larger gradient is scaled down to it'),
    optimizer: given(run.optimizer, 'adamw', 'adamw_8bit: state in 8 bits and stochastic rounding, for bf16 weights'),
    weights: given(run.weights, 'fp32', 'precision of the trained weights in memory'),
    compute: given(
      Type.Union([...run.compute.anyOf, Type.Null()]),
      null,
      'precision of the matrix products; null: bf16 on a GPU, fp32 on a CPU',
    ),
    ema: given(
      run.ema,
      null,
      'decay per update of a moving average of the weights, which is then evaluated and exported; null: no average',
      0.999,
    ),
    recompute: given(run.recompute, true, 'activation checkpointing per block: less memory, about a third more time'),
    dropout: given(
      run.dropout,
      0,
      'dropout of the inputs of the language model: the share that each training step drops',
    ),
    token_dropout: given(run.token_dropout, 0, 'dropout of the image tokens: the share that each training step drops'),
    channel_dropout: given(
      run.channel_dropout,
      0,
      'dropout of the channels of an efficientnet_lite0 encoder: the share that each training step drops for each picture',
    ),
    augment: Type.Object(
      { flip: given(RecipeAugment.properties.flip, false, 'mirror half of the pictures, a different half each epoch') },
      { ...closed, default: {}, description: 'random changes of the training pictures' },
    ),
    seed: given(run.seed, 0, 'random seed of order, fraction, augmentation and dropout'),
    device: given(run.device, 'cuda', 'device of the run'),
    processes: given(Positive, 1, 'number of processes over all hosts; each uses one GPU'),
    hosts: given(Positive, 1, 'number of machines that the processes run on'),
    rendezvous: given(
      orNull(Type.String({ pattern: '^[^:\\s]+:\\d+$' })),
      null,
      'host:port of the first host; needed with several hosts',
      'host0:29500',
    ),
    gpu_gb: given(
      Type.Number({ exclusiveMinimum: 0 }),
      80,
      'memory of one GPU in GB; a run whose estimate is above it is refused before it starts',
    ),
    save_every: given(run.save_every, 500, 'updates between two checkpoints'),
    keep_checkpoints: given(run.keep_checkpoints, 2, 'number of checkpoints to keep; older ones are deleted'),
    trackers: given(run.trackers, [], 'trackers that also receive the metrics of events.jsonl', ['tensorboard']),
  },
  closed,
);
export type TrainRecipe = Static<typeof TrainRecipe>;
