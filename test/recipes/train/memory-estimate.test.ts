import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe } from '../../../src/config/train.js';
import { packageRoot } from '../../../src/base/package-root.js';
import {
  countParameters,
  describeEstimate,
  estimateMemory,
  type ModelShape,
} from '../../../src/recipes/train/memory-estimate.js';

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
const recipe = (changes: object = {}): TrainRecipe =>
  checkConfig(
    TrainRecipe,
    { name: 'x', model: 'm', data: { train: ['t.jsonl'] }, learning_rates: { default: 2e-5 }, ...changes },
    'test',
  ) as TrainRecipe;

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
    expect(adapters(null) - adapters('nf4')).toBe(layer); // two gathered layers, or one decoded one
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
});
