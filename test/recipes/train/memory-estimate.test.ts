import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe, type FittedRecipe } from '../../../src/config/train.js';
import { packageRoot } from '../../../src/base/package-root.js';
import { countParameters, estimateMemory, type ModelShape } from '../../../src/recipes/train/memory-estimate.js';
import { describeEstimate } from '../../../src/recipes/train/describe-plan.js';
import { fitRecipe } from '../../../src/recipes/train/fit.js';
import type { Machine } from '../../../src/recipes/train/machine.js';

const published: ModelShape = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  visual_config: {
    visual_model: {
      hidden_size: 1024,
      intermediate_size: 4096,
      num_hidden_layers: 24,
      image_size: 448,
      patch_size: 14,
    },
    visual_abstractor: {
      num_learnable_queries: 64,
      hidden_size: 1024,
      num_hidden_layers: 6,
      intermediate_size: 2816,
      encoder_hidden_size: 1024,
    },
  },
};
const given = (changes: object = {}): TrainRecipe =>
  checkConfig(
    TrainRecipe,
    { name: 'x', model: 'm', data: { train: ['t.jsonl'] }, learning_rates: { default: 2e-5 }, ...changes },
    'test',
  ) as TrainRecipe;
const recipe = (changes: object = {}): FittedRecipe => given({ keep_unsharded: 'nothing', ...changes }) as FittedRecipe;

describe('the memory plan', () => {
  it('counts the published model: 304.0 M, 81.5 M, 7812 M', () => {
    const counted = countParameters(published);
    expect(counted.vision / 1e6).toBeCloseTo(304.0, 1);
    expect(counted.abstractor / 1e6).toBeCloseTo(81.5, 1);
    expect(Math.round(counted.language / 1e6)).toBe(7812);
  });
  it('counts the tiny checkpoint like its file', () => {
    const folder = join(packageRoot, 'test/fixtures/golden/tiny_a/model');
    const counted = countParameters(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as ModelShape);
    const file = readFileSync(join(folder, 'model.safetensors'));
    const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString()) as Record<
      string,
      { shape?: number[] }
    >;
    const stored = Object.entries(header).filter(
      ([key]) => key !== '__metadata__' && !key.includes('_pos_embed') && !key.includes('inv_freq'),
    );
    const total = stored.reduce((sum, [, { shape }]) => sum + (shape ?? []).reduce((a, b) => a * b, 1), 0);
    expect(counted.vision + counted.abstractor + counted.language).toBe(total);
  });
  it('fits full tuning of the 7 B model on one 80 GB GPU only with the 8-bit optimizer', () => {
    const eight = estimateMemory(published, recipe({ weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: 8 }));
    expect(eight.fits).toBe(true);
    expect(eight.perGpuBytes).toBeGreaterThan(50e9);
    expect(estimateMemory(published, recipe({ micro_batch: 8 })).fits).toBe(false);
    expect(estimateMemory(published, recipe({ lora: { r: 128 }, weights: 'bf16' })).fits).toBe(true);
  });
  it('counts clips, averages, codes of a quantised base, and sharding over processes', () => {
    const full = { weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: 4 };
    const plain = estimateMemory(published, recipe(full));
    expect(plain.bytesPerTrainable).toBeCloseTo(6.03, 2);
    expect(estimateMemory(published, recipe(full), 12).activationBytes).toBeGreaterThan(
      (plain.activationBytes ?? 0) + 4e9,
    );
    expect(estimateMemory(published, recipe({ ...full, ema: 0.999 })).optimizerBytes - plain.optimizerBytes).toBe(
      4 * plain.trainable,
    );
    expect(estimateMemory(published, recipe({ ...full, processes: 4 })).weightBytes).toBeCloseTo(
      plain.weightBytes / 4,
      0,
    );
    const bytes = [null, 'int8', 'nf4'].map(
      (kind) => estimateMemory(published, recipe({ weights: 'bf16', lora: { quantise_base: kind } })).weightBytes / 1e9,
    );
    expect(bytes[0]).toBeGreaterThan(16);
    expect(bytes[1]).toBeLessThan(10);
    expect(bytes[2]).toBeLessThan(6.5);
  });
  it('matches the measurement: a forward pass of 8 pictures saves 1.36 GB on the meta device, plus one block in the plan', () => {
    const bytes = (values: object): number => estimateMemory(published, recipe(values)).activationBytes ?? NaN;
    const adapters = (micro: number): number => bytes({ weights: 'bf16', lora: {}, micro_batch: micro });
    const trained = (micro: number): number => bytes({ weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: micro });
    expect((trained(16) - trained(8)) / 8).toBeGreaterThan(0.169e9);
    expect((trained(16) - trained(8)) / 8).toBeLessThan(0.3e9);
    expect(adapters(16) - adapters(8)).toBeLessThan(trained(16) - trained(8));
  });
  it('counts the share of recomputed blocks, the fewer tensors of fused kernels, and decoded matrices', () => {
    const bytes = (values: object): number =>
      estimateMemory(published, recipe({ weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: 8, ...values }))
        .activationBytes ?? NaN;
    const [all, half, none] = [true, 0.5, false].map((recompute) => bytes({ recompute })) as [number, number, number];
    expect(bytes({ recompute: 1 })).toBe(all);
    expect(bytes({ recompute: 0 })).toBe(none);
    expect(all).toBeLessThan(half);
    expect(half).toBeLessThan(none);
    expect(bytes({ recompute: false, kernels: 'plain' })).toBeGreaterThan(1.2 * none);
    const adapters = (kind: string | null): number => bytes({ lora: { quantise_base: kind } });
    const shape = { hidden: 4096, inner: 11008 };
    const layer = 2 * (6 * shape.hidden ** 2 + 3 * shape.hidden * shape.inner);
    expect(adapters('nf4') - adapters(null)).toBe(layer); // one decoded layer
    const lines = (recompute: boolean | number): string =>
      describeEstimate(estimateMemory(published, recipe({ recompute })), recipe({ recompute }), undefined).join('\n');
    expect(lines(true)).toContain(', recomputed,');
    expect(lines(0.25)).toContain(', 25 % of the blocks recomputed,');
    expect(lines(false)).not.toContain('recomputed');
  });
  it('compares with gpu_gb on a GPU, and states only the memory on a CPU', () => {
    const lines = (device: string): string =>
      describeEstimate(estimateMemory(published, recipe({ device })), recipe({ device }), undefined).join('\n');
    expect(lines('cuda')).toMatch(/^per GPU {8}[\d.]+ GB of 80 GB, on 1 process: does not fit$/m);
    expect(lines('cpu')).toMatch(/^per process {4}[\d.]+ GB of memory, on 1 process$/m);
    expect(lines('cpu')).not.toContain('80 GB');
  });
  it('counts sums of gradients in fp32, and what processes keep whole', () => {
    const full = { weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: 8 };
    const gradients = (changes: object): number =>
      estimateMemory(published, recipe({ ...full, ...changes })).gradientBytes;
    const all = 8_197_859_328;
    expect(gradients({ batch_size: 8 })).toBe(2 * all);
    expect(gradients({})).toBe(4 * all);
    expect(gradients({ processes: 4 })).toBe((2 + 4) * (all / 4));
    expect(gradients({ processes: 4, keep_unsharded: 'gradients' })).toBe(4 * all + (2 * all) / 4);
    const peak = (kept: string): number =>
      estimateMemory(published, recipe({ ...full, processes: 4, keep_unsharded: kept })).perGpuBytes;
    expect(peak('all') - peak('gradients')).toBeCloseTo(2 * all * 1.1, -3);
  });
  it('counts the start: shards and one tensor on each GPU, one tensor in host memory', () => {
    const plan = estimateMemory(published, recipe({ processes: 16, gpu_gb: 24 }));
    expect(plan.startGpuBytes).toBe(plan.weightBytes + 32000 * 4096 * 4);
    expect(plan.startHostBytes).toBe(32000 * 4096 * 4);
    expect(estimateMemory(published, recipe({ init: 'random' })).startHostBytes).toBe(4 * 8_197_859_328);
  });
  it('fits LoRA of the 7 B model on two cards of 24 GB, with weights in bf16 or 4 bits', () => {
    for (const base of [null, 'nf4']) {
      const lora = { lora: { quantise_base: base }, weights: 'bf16', gpu_gb: 24, processes: 2, micro_batch: 'auto' };
      const fitted = fitRecipe(given(lora), (one) => estimateMemory(published, one), cards(2, 25.3e9));
      const plan = estimateMemory(published, fitted);
      expect(plan.fits, describeEstimate(plan, fitted, undefined).join('\n')).toBe(true);
      expect(fitted.micro_batch).toBeGreaterThanOrEqual(8);
      const small = fitRecipe(
        given({ ...lora, micro_batch: 8 }),
        (one) => estimateMemory(published, one),
        cards(2, 25.3e9),
      );
      expect([small.keep_unsharded, estimateMemory(published, small).fits]).not.toContain('nothing');
    }
  });
});

const cards = (number: number, bytes: number): Machine => ({
  gpus: Array.from({ length: number }, () => ({ name: 'card', bytes })),
  cores: 16,
  memoryBytes: 128e9,
  diskBytes: 500e9,
  modelDiskBytes: 500e9,
});

describe('the choice by memory', () => {
  const full = { weights: 'bf16', optimizer: 'adamw_8bit', micro_batch: 'auto', batch_size: 256, gpu_gb: 1000 };
  const memory = (one: FittedRecipe): ReturnType<typeof estimateMemory> => estimateMemory(published, one);
  const chosen = (changes: object, bytes: number, number = 1): FittedRecipe =>
    fitRecipe(given({ ...full, ...changes }), memory, cards(number, bytes));

  it('takes the largest micro-batch that fits the smaller of gpu_gb and the GPU', () => {
    const [small, large] = [chosen({}, 80e9).micro_batch, chosen({}, 141e9).micro_batch];
    expect(small).toBeLessThan(large);
    for (const [micro, limit] of [
      [small, 80e9],
      [large, 141e9],
    ] as const) {
      expect(memory(recipe({ ...full, micro_batch: micro })).perGpuBytes).toBeLessThanOrEqual(limit);
      expect(256 % micro).toBe(0);
      expect(memory(recipe({ ...full, micro_batch: 2 * micro })).perGpuBytes).toBeGreaterThan(limit);
    }
    expect(chosen({ gpu_gb: 80 }, 141e9).micro_batch).toBe(small);
  });
  it('keeps as much whole as fits beside it', () => {
    const kept = (gpu: number): string => chosen({ micro_batch: 2, processes: 8 }, gpu, 8).keep_unsharded;
    expect([kept(24e9), kept(60e9), kept(141e9)]).toEqual(['nothing', 'gradients', 'all']);
    expect(chosen({ keep_unsharded: 'nothing', processes: 8 }, 141e9, 8).keep_unsharded).toBe('nothing');
  });
  it('takes the least if nothing fits, which is then refused', () => {
    const fitted = chosen({ gpu_gb: 10 }, 80e9);
    expect([fitted.micro_batch, memory(fitted).fits]).toEqual([1, false]);
  });
  it('refuses auto for a model whose memory is not known', () => {
    expect(() => fitRecipe(given(full), () => undefined, cards(1, 80e9))).toThrow(/set a number/);
  });
});
