import Type, { type Static, type TSchema } from 'typebox';
import {
  RecipeAugment,
  RecipeLearningRates,
  RecipeLora,
  RecipeObjective,
  RunRecipe,
} from '../../bridge/protocol/recipe.js';
import { Positive } from '../../bridge/protocol/shapes.js';
import { BASIC_FAMILIES, FAMILIES, type Family } from '../media/distort/families.js';

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

const FamilyName = Type.Unsafe<Family>(Type.Union(FAMILIES.map((name) => Type.Literal(name))));

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
      'folder that media paths of the records are relative to; null: the folder of the records file',
    ),
    fraction: given(
      Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
      1,
      'fraction of the training records to use, chosen at random with the seed',
      0.2,
    ),
    weights: given(
      run.data.properties.weights,
      {},
      'number of times that an epoch uses the records of a dataset. 2: twice; 0.5: a different half of them in each epoch',
      { koniq10k: 1, spaq: 0.5 },
    ),
    prepare_size: given(
      orNull(Type.Integer({ minimum: 14 })),
      null,
      'side in pixels of the prepared pictures, before random crops; null: the input size of the model',
    ),
    mos_range: given(
      orNull(Type.Tuple([Type.Number(), Type.Number()])),
      null,
      'MOS of the levels bad and excellent, for soft labels; null: 1 and 5',
      [0, 100],
    ),
    distortions: given(
      Type.Union([
        Type.Null(),
        Type.Object(
          {
            pictures: given(Positive, 50, 'number of rated pictures to distort'),
            families: given(
              Type.Array(FamilyName, { minItems: 1, uniqueItems: true }),
              [...BASIC_FAMILIES],
              'families of distortions, each with its own series. A mixture draws two or three of these families',
              ['jpeg', 'blur', 'upscale', 'mixture'],
            ),
            per_picture: given(
              orNull(Positive),
              null,
              'number of families that are drawn for each picture; null: all families',
            ),
            choose: given(
              Type.Union([Type.Literal('best'), Type.Literal('any')]),
              'best',
              'pictures to distort. best: those with the highest rating; any: drawn at random with the seed',
            ),
            shapes: given(
              Type.Boolean(),
              false,
              'before a picture is distorted, crop it to a drawn shape from 1:2 to 2:1, reduce it by a drawn factor from 0.4, or both',
            ),
            screens: given(
              Type.Number({ minimum: 0, maximum: 1 }),
              0,
              'share of the series whose picture is first put on a drawn screen with a window, lines of text and icons',
            ),
          },
          closed,
        ),
      ]),
      null,
      'adds series of increasingly distorted copies of rated training pictures, for objective.series. Their dataset name in data.weights is "distortions". null: no series',
    ),
    rated_shapes: given(
      Type.Number({ minimum: 0, maximum: 16 }),
      0,
      'number of copies of each rated training picture with its rating, cropped to 70 % of the area or more, or reduced by 0.45 or more. 0.1: one copy of a tenth of the pictures',
    ),
    added_seed: given(
      orNull(Type.Integer({ minimum: 0 })),
      null,
      'random seed of distortions and rated_shapes; null: the seed of the recipe. With a number, runs with different seeds share their prepared data',
    ),
    leave_out: given(
      Type.Array(FamilyName, { uniqueItems: true }),
      [],
      'families of distortions whose prepared series are not used, to measure them as unknown ones. Mixtures are then not used either, because they can contain these families. Runs with different families share their prepared data',
      ['warp'],
    ),
    max_frames: given(
      Type.Integer({ minimum: 1 }),
      DEFAULT_MAX_FRAMES,
      'maximum number of frames of a clip. One frame per second is used, or this many at even distances if the clip is longer. Models of transformers: this many at even distances, at most 64, and 8 for the default',
    ),
    max_disk_gb: given(
      Type.Number({ exclusiveMinimum: 0 }),
      100,
      'maximum disk space in GB for the prepared pixels; a run that needs more is refused',
    ),
  },
  { ...closed, description: 'the records and how they are prepared' },
);

const Objective = Type.Object(
  {
    next_token: given(objective.next_token, 1, 'weight of the cross entropy of the answer, as in Q-Align'),
    soft_label: given(
      objective.soft_label,
      0,
      'weight of the KL divergence from the soft label at the level word, as in DeQA-Score',
    ),
    fidelity: given(
      objective.fidelity,
      0,
      'weight of the fidelity loss over the pairs of records of the same dataset in a micro-batch',
    ),
    in_level: given(objective.in_level, 0, 'weight of the probability outside the five level words'),
    series: given(
      objective.series,
      0,
      'weight of the fidelity loss over the pairs of pictures in a series of distortions',
    ),
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
    default: given(rates.default, 2e-5, 'learning rate of each part that is not set below'),
    vision: told(rates.vision, 'learning rate of the vision encoder'),
    abstractor: told(rates.abstractor, 'learning rate of the abstractor between encoder and language model'),
    merger: told(
      rates.merger,
      'for models of transformers: learning rate of the merger between encoder and language model',
    ),
    language: told(rates.language, 'learning rate of the language model'),
    lora: told(rates.lora, 'learning rate of the LoRA matrices'),
  },
  {
    ...closed,
    default: {},
    description: 'peak learning rate of each part of the model',
    examples: [{ default: 2e-5, abstractor: 1e-5 }],
  },
);

const Lora = Type.Object(
  {
    r: given(lora.r, 128, 'rank of the matrices'),
    alpha: given(lora.alpha, 256, 'scale of the matrices: their product is multiplied by alpha / r'),
    dropout: given(lora.dropout, 0.05, 'dropout probability of the inputs of the matrices'),
    abstractor: given(
      lora.abstractor,
      true,
      'also train all weights of the abstractor, or of the merger of a model of transformers',
    ),
    quantise_base: given(
      lora.quantise_base,
      null,
      'store the frozen matrices of the language model in 8 or 4 bits; null: in the precision of weights',
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
        'name of configs/models, directory or hub id; hf:ID for a model of transformers. It provides config, tokenizer and preprocessor, and the weights unless init is random',
      examples: ['mplug-owl2'],
    }),
    base: given(
      orNull(Type.String()),
      null,
      'base model if model is a LoRA adapter; the two are merged before training',
    ),
    revision: given(orNull(Type.String()), null, 'commit, tag or branch of a hub model'),
    init: given(
      run.init,
      'pretrained',
      'initial weights. pretrained: those of model; random: random weights of the same architecture',
    ),
    encoder_weights: given(
      run.encoder_weights,
      null,
      'file with the initial weights of the vision encoder; only with init: random',
    ),
    data: Data,
    objective: Objective,
    fixed_pair_std: given(
      run.fixed_pair_std,
      true,
      'standard deviation in the fidelity loss. true: 1; false: the standard deviation of the predicted levels',
    ),
    prompts: given(
      Type.Array(Type.String()),
      [],
      'names of configs/prompts. The records use these prompts in turn, in the same form as in scoring. Empty: the published training form',
      ['default'],
    ),
    score_text: given(run.score_text, false, 'train the model to answer with the score ("3.45") instead of a level'),
    soft_label_sigma: given(
      orNull(Type.Number({ exclusiveMinimum: 0 })),
      null,
      'standard deviation of soft labels made from the MOS, on the scale 1 to 5; null: use the soft labels of the records',
      0.5,
    ),
    lora: given(
      Type.Union([Type.Null(), Lora]),
      null,
      'LoRA: freeze the weights and train low-rank matrices; null: train the weights',
      {
        r: 128,
        alpha: 256,
      },
    ),
    freeze: given(
      run.freeze,
      [],
      'parts of the model that are not trained. abstractor is a part of mPLUG-Owl2, merger a part of models of transformers',
      ['vision'],
    ),
    train_stages_from: given(
      run.train_stages_from,
      null,
      'index of the first stage of a frozen efficientnet_lite0 encoder that is trained, with all later stages; null: no stage',
    ),
    cache_features: given(
      run.cache_features,
      false,
      'compute the output of a frozen vision encoder only once for each picture, instead of in each epoch',
    ),
    epochs: given(run.epochs, 2, 'number of passes over the training records'),
    max_steps: given(run.max_steps, null, 'maximum number of updates; null: all epochs'),
    batch_size: given(
      run.batch_size,
      64,
      'records per update, over all processes; a multiple of micro_batch · processes',
    ),
    micro_batch: given(
      Type.Union([run.micro_batch, Type.Literal('auto')]),
      16,
      'records that one process computes at a time; fewer need less memory. auto: the most that fit in gpu_gb by the plan',
    ),
    learning_rates: LearningRates,
    schedule: given(
      run.schedule,
      'cosine',
      'learning rate after the warm-up. cosine: half a cosine to 0; constant: no change; one_cycle: as cosine, and the warm-up also follows a cosine',
    ),
    warmup: given(run.warmup, 0.03, 'fraction of the updates during which the learning rate rises'),
    weight_decay: given(run.weight_decay, 0, 'decoupled weight decay of matrices; vectors have no decay'),
    betas: given(run.betas, [0.9, 0.999], 'beta1 and beta2 of AdamW'),
    clip: given(run.clip, 1, 'maximum gradient norm of an update; larger gradients are scaled down'),
    optimizer: given(
      run.optimizer,
      'adamw',
      'adamw_8bit: AdamW with its state in 8 bits and stochastic rounding, for bf16 weights',
    ),
    weights: given(run.weights, 'fp32', 'precision of the trained weights'),
    compute: given(
      Type.Union([...run.compute.anyOf, Type.Null()]),
      null,
      'precision of the matrix products; null: bf16 on a GPU, fp32 on a CPU',
    ),
    export_weights: given(
      run.export_weights,
      null,
      'precision of the exported weights; null: the precision of weights',
      'fp16',
    ),
    ema: given(
      run.ema,
      null,
      'decay per update of a moving average of the weights. The average is evaluated and exported. null: no average',
      0.999,
    ),
    recompute: given(
      run.recompute,
      true,
      'activation checkpointing of the blocks; saves memory and takes up to a third more time. A number from 0 to 1 is the share of the blocks that are recomputed',
      0.5,
    ),
    kernels: given(
      run.kernels,
      'auto',
      'auto: on a GPU, norms, rotary positions and activations of mPLUG-Owl2 run as fused kernels; plain: as operations of PyTorch, which is slower',
      'plain',
    ),
    dropout: given(run.dropout, 0, 'dropout probability of the inputs of the language model'),
    token_dropout: given(run.token_dropout, 0, 'fraction of the image tokens that each training step drops'),
    channel_dropout: given(
      run.channel_dropout,
      0,
      'fraction of the channels of an efficientnet_lite0 encoder that each training step drops for each picture',
    ),
    augment: Type.Object(
      {
        flip: given(
          RecipeAugment.properties.flip,
          false,
          'mirror half of the pictures, a different half in each epoch',
        ),
      },
      { ...closed, default: {}, description: 'random changes of the training pictures' },
    ),
    seed: given(run.seed, 0, 'random seed for order, fraction, augmentation and dropout'),
    device: given(run.device, 'cuda', 'device of the training'),
    processes: given(Positive, 1, 'number of processes over all hosts, one for each GPU'),
    hosts: given(Positive, 1, 'number of machines'),
    rendezvous: given(
      orNull(Type.String({ pattern: '^[^:\\s]+:\\d+$' })),
      null,
      'host:port of the first host; required with several hosts',
      'host0:29500',
    ),
    gpu_gb: given(
      Type.Number({ exclusiveMinimum: 0 }),
      80,
      'memory of one GPU in GB; a run with a higher estimate is refused before it starts',
    ),
    keep_unsharded: given(
      orNull(run.keep_unsharded),
      null,
      'what several processes keep whole during an update, for less communication: gradients, all (weights too) or nothing. Null: the most that fits in gpu_gb',
    ),
    save_every: given(run.save_every, 500, 'number of updates between two checkpoints'),
    keep_checkpoints: given(run.keep_checkpoints, 2, 'number of checkpoints to keep; older ones are deleted'),
    keep_best: given(
      run.keep_best,
      null,
      'metric of data.dev whose best checkpoint is kept beside the last ones, and exported to best/; null: none',
      'srcc',
    ),
    trackers: given(run.trackers, [], 'trackers that also receive the metrics of events.jsonl', ['tensorboard']),
  },
  closed,
);
export type TrainRecipe = Static<typeof TrainRecipe>;

/** What a process keeps whole between the micro-batches of an update. */
export type Unsharded = Exclude<TrainRecipe['keep_unsharded'], null>;

/** A recipe whose micro-batch and communication are chosen for a GPU. */
export type FittedRecipe = Omit<TrainRecipe, 'micro_batch' | 'keep_unsharded'> & {
  readonly micro_batch: number;
  readonly keep_unsharded: Unsharded;
};
