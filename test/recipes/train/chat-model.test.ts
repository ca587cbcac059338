import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe, type FittedRecipe } from '../../../src/config/train.js';
import {
  clipFrames,
  estimateChat,
  readChatSizes,
  refuseMerger,
  requireChatKeys,
} from '../../../src/recipes/train/chat-model.js';
import { misfits, type Machine } from '../../../src/recipes/train/machine.js';
import { describeEstimate } from '../../../src/recipes/train/describe-plan.js';
import { describeTime, estimateTime } from '../../../src/recipes/train/time-estimate.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'chat-'))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const recipeOf = (values: object = {}): FittedRecipe =>
  checkConfig(
    TrainRecipe,
    { name: 'x', model: 'hf:m', device: 'cpu', data: { train: ['t.jsonl'] }, keep_unsharded: 'nothing', ...values },
    'test',
  ) as FittedRecipe;

function writeWeights(name: string, shapes: Record<string, number[]>): void {
  const rows = Object.entries(shapes).map(([key, shape]) => [key, { dtype: 'F32', shape, data_offsets: [0, 0] }]);
  const header = Buffer.from(JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(rows) }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(folder, name), Buffer.concat([length, header]));
}

const QWEN = {
  'model.visual.blocks.0.attn.qkv.weight': [6, 2],
  'model.visual.merger.linear_fc1.weight': [4, 5],
  'model.language_model.layers.0.mlp.up_proj.weight': [7, 3],
  'model.language_model.layers.0.input_layernorm.weight': [3],
  'lm_head.weight': [10, 3],
};

describe('the sizes of a model of transformers', () => {
  it('are read from the headers of its weights, by part', () => {
    writeWeights('model.safetensors', QWEN);
    expect(readChatSizes(folder)).toMatchObject({ vision: 12, merger: 20, language: 54, sides: 10 });
  });

  it('are read from all files of an index, without layers that the library does not load', () => {
    writeWeights('a.safetensors', { 'vision_tower.x.weight': [2], 'mtp.layers.0.weight': [99] });
    writeWeights('b.safetensors', { 'language_model.model.layers.3.mlp.up_proj.weight': [4, 4] });
    const map = { 'vision_tower.x.weight': 'a.safetensors', y: 'b.safetensors' };
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
    expect(readChatSizes(folder)).toMatchObject({ vision: 2, merger: 0, language: 16, sides: 8 });
  });

  it('are not known without weights, with damaged ones, and with names of no family', () => {
    expect(readChatSizes(folder)).toBeUndefined();
    writeFileSync(join(folder, 'model.safetensors'), 'no weights');
    expect(readChatSizes(folder)).toBeUndefined();
    writeWeights('model.safetensors', { ...QWEN, 'audio_tower.x': [1] });
    expect(readChatSizes(folder)).toBeUndefined();
  });
});

describe('the estimate of a model of transformers', () => {
  const sizes = { vision: 12, merger: 20, language: 54, sides: 10 };

  it('counts trained parts, and says that activations and time are not known', () => {
    const recipe = recipeOf({ freeze: ['vision', 'merger'] });
    const plan = estimateChat(sizes, recipe);
    expect(plan).toMatchObject({ trainable: 54, weightBytes: 4 * 86, gradientBytes: 4 * 54, activationBytes: null });
    const lines = describeEstimate(plan, recipe, undefined).join('\n');
    expect(lines).toMatch(/activations +unknown/);
    expect(lines).toContain('more than');
    const time = estimateTime(undefined, recipe, [{ dataset: 'a', kind: 'image' }], BIG);
    expect(time).toMatchObject({ steps: 2, seconds: null, flopsPerItem: null });
    expect(describeTime(time, recipe)).toContain('not known');
  });

  it('counts matrices of LoRA and the merger', () => {
    const lora = { r: 4, alpha: 8 };
    expect(estimateChat(sizes, recipeOf({ lora })).trainable).toBe(40 + 20);
    expect(estimateChat(sizes, recipeOf({ lora: { ...lora, abstractor: false } })).trainable).toBe(40);
  });

  it('of a model that is not here only checks the GPUs', () => {
    const recipe = recipeOf({ device: 'cuda' });
    expect(describeEstimate(undefined, recipe, undefined).join()).toContain('unknown');
    expect(misfits(undefined, recipe, { ...BIG, gpus: [] }, { prepared: 0, download: 0 })).toEqual([
      'the recipe trains on CUDA, but this machine has no GPU',
    ]);
    expect(misfits(undefined, recipeOf(), BIG, { prepared: 0, download: 0 })).toEqual([]);
  });
});

const BIG: Machine = { gpus: [], cores: 8, memoryBytes: 1e12, diskBytes: 1e12, modelDiskBytes: 1e12 };

describe('a recipe of a model of transformers', () => {
  it.each([
    [{ dropout: 0.1 }, 'dropout'],
    [{ cache_features: true, init: 'random' }, 'init, cache_features'],
    [{ data: { train: ['t'], distortions: {} } }, 'data.distortions'],
    [{ data: { train: ['t'], rated_shapes: 2 } }, 'data.rated_shapes'],
    [{ data: { train: ['t'], prepare_size: 64 } }, 'data.prepare_size'],
    [{ lora: { quantise_base: 'nf4' } }, 'lora.quantise_base'],
    [{ freeze: ['abstractor'] }, 'freeze the merger'],
    [{ data: { train: ['t'], max_frames: 65 } }, 'at most 64'],
  ])('with %j is refused', (values, said) => {
    expect(() => requireChatKeys(recipeOf(values), 'm')).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => requireChatKeys(recipeOf(values), 'm')).toThrow(said);
  });

  it('is refused if nothing would be trained, or if freeze has no effect', () => {
    const all = ['vision', 'merger', 'language'];
    expect(() => requireChatKeys(recipeOf({ freeze: all }), 'm')).toThrow('nothing is trained');
    expect(() => requireChatKeys(recipeOf({ freeze: ['merger'], lora: { r: 4 } }), 'm')).toThrow(
      'lora.abstractor=false',
    );
    expect(() => requireChatKeys(recipeOf({ lora: { r: 4 } }), 'm')).not.toThrow();
  });

  it('is accepted with its own parts, which the first backend refuses', () => {
    const recipe = recipeOf({ freeze: ['merger'], learning_rates: { merger: 1e-4 } });
    expect(() => requireChatKeys(recipe, 'm')).not.toThrow();
    expect(() => refuseMerger(recipe, 'nano')).toThrow('nano has no merger');
    expect(() => refuseMerger(recipeOf({ freeze: ['abstractor'] }), 'nano')).not.toThrow();
  });

  it('takes eight frames of a clip, or those that it names', () => {
    expect(clipFrames(recipeOf())).toEqual({ frameRule: 'eight', maxFrames: 8 });
    expect(clipFrames(recipeOf({ data: { train: ['t'], max_frames: 12 } }))).toEqual({
      frameRule: 'eight',
      maxFrames: 12,
    });
  });
});
