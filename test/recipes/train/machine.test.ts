import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/load.js';
import { TrainRecipe, type FittedRecipe } from '../../../src/config/train.js';
import { misfits, parseGpus, readMachine, visibleGpus, type Machine } from '../../../src/recipes/train/machine.js';
import { estimateMemory, PUBLISHED_SHAPE } from '../../../src/recipes/train/memory-estimate.js';
import { describeTime, estimateTime } from '../../../src/recipes/train/time-estimate.js';
import type { TrainRecord } from '../../../src/recipes/train/records.js';

const recipe = (values: object = {}): FittedRecipe =>
  checkConfig(
    TrainRecipe,
    {
      name: 'x',
      model: 'mplug-owl2',
      data: { train: ['x.jsonl'] },
      learning_rates: { default: 2e-5 },
      optimizer: 'adamw_8bit',
      weights: 'bf16',
      micro_batch: 8,
      keep_unsharded: 'nothing',
      ...values,
    },
    'x',
  ) as FittedRecipe;
const H200 = { name: 'NVIDIA H200', bytes: 150e9 };
const BIG: Machine = { gpus: [H200], cores: 16, memoryBytes: 128e9, diskBytes: 500e9, modelDiskBytes: 500e9 };
const nothing = { prepared: 0, download: 0 };
const why = (machine: Partial<Machine>, values: object = {}, needs = nothing): string[] =>
  misfits(estimateMemory(PUBLISHED_SHAPE, recipe(values)), recipe(values), { ...BIG, ...machine }, needs);

describe('a recipe on a machine', () => {
  it('states the size of a small model, and how to train it without a GPU', () => {
    const estimate = estimateMemory(PUBLISHED_SHAPE, recipe());
    const small = { ...estimate, parameters: { vision: 4.7e6, abstractor: 0.8e6, language: 1.2e6, lora: 0 } };
    expect(misfits(small, recipe(), { ...BIG, gpus: [] }, nothing)).toEqual([
      'the recipe trains 6.7 million parameters on CUDA, but this machine has no GPU (device=cpu trains them without one)',
    ]);
  });

  it('fits if the machine has enough resources', () => {
    expect(why({})).toEqual([]);
    expect(why({ gpus: undefined })).toEqual([]); // devices exist, but their names are unknown
  });

  it.each([
    [
      'no GPU',
      { gpus: [] },
      {},
      nothing,
      /^the recipe trains 8\.2 billion parameters on CUDA, but this machine has no GPU$/,
    ],
    [
      'a small GPU',
      { gpus: [{ name: 'RTX 3090', bytes: 25e9 }] },
      {},
      nothing,
      /^it needs 74\.3 GB per GPU, but RTX 3090 has 25/,
    ],
    ['too few GPUs', {}, { processes: 2 }, nothing, /^it needs 2 GPUs on this machine, which has 1$/],
    [
      'little memory on a CPU',
      { memoryBytes: 50e9 },
      { device: 'cpu', micro_batch: 64 },
      nothing,
      /of memory, but this machine has 50\.0 GB$/,
    ],
    [
      'little memory for a checkpoint',
      { memoryBytes: 20e9 },
      {},
      nothing,
      /^writing a checkpoint needs 33\.\d GB of memory/,
    ],
    [
      'little disk',
      {},
      {},
      { prepared: 450e9, download: 0 },
      /^pictures, checkpoints and models need 565\.\d GB of disk space, but 500\.0/,
    ],
    [
      'no disk for the model',
      { modelDiskBytes: 10e9 },
      {},
      { prepared: 0, download: 16.4e9 },
      /^the model needs 16\.4 GB/,
    ],
  ])('says that there is %s', (_what, machine, values, needs, sentence) => {
    expect(why(machine, values, needs)).toEqual([expect.stringMatching(sentence)]);
  });

  it('is checked without PyTorch', async () => {
    const machine = await readMachine('/no/such/folder', '.');
    expect(machine.memoryBytes).toBeGreaterThan(1e8);
    expect(machine.diskBytes).toBeGreaterThan(0);
  });
});

describe('GPUs', () => {
  it('are read from the output of the driver', () => {
    expect(parseGpus('NVIDIA H200, 143771\nNVIDIA A100-SXM4-80GB, 81920\nGB10, [N/A]\n')).toEqual([
      { name: 'NVIDIA H200', bytes: 143771 * 2 ** 20 },
      { name: 'NVIDIA A100-SXM4-80GB', bytes: 81920 * 2 ** 20 },
    ]);
  });

  it.each([
    [undefined, 'ab'],
    ['', ''],
    ['-1', ''],
    ['1', 'b'],
    ['1,0,7', 'ba'],
    ['GPU-5f', 'a'],
  ])('with CUDA_VISIBLE_DEVICES=%s are %j', (visible, names) => {
    const two = [...'ab'].map((name) => ({ name, bytes: 1 }));
    expect(
      visibleGpus(two, visible)
        .map(({ name }) => name)
        .join(''),
    ).toBe(names);
  });
});

describe('the time of a run', () => {
  const records = (count: number, dataset = 'koniq'): TrainRecord[] =>
    Array.from({ length: count }, () => ({ dataset, kind: 'image' }) as TrainRecord);

  it('counts the steps of the schedule', () => {
    expect(estimateTime(PUBLISHED_SHAPE, recipe(), records(7046), BIG).steps).toBe(2 * 111);
    expect(estimateTime(PUBLISHED_SHAPE, recipe({ max_steps: 10 }), records(7046), BIG).steps).toBe(10);
    const twice = recipe({ data: { train: ['x'], weights: { koniq: 2 } } });
    expect(estimateTime(PUBLISHED_SHAPE, twice, records(64), BIG).steps).toBe(4);
  });

  it('is that of 20 to 60 pictures per second for full tuning on an H200, and names the device', () => {
    const time = estimateTime(PUBLISHED_SHAPE, recipe(), records(7046), BIG);
    const rate = (time.steps * 64) / (time.seconds ?? 0);
    expect(rate).toBeGreaterThan(20);
    expect(rate).toBeLessThan(60);
    expect(describeTime(time, recipe())).toMatch(
      /^222 steps, estimate \d+ min \d\d s, 0\.1 GPU hours \(NVIDIA H200, assuming 68 % of/,
    );
  });

  it('is longer on a CPU, and for an unknown GPU that of a known one', () => {
    const time = estimateTime(PUBLISHED_SHAPE, recipe({ device: 'cpu' }), records(7046), BIG);
    expect(time.seconds).toBeGreaterThan(100_000);
    expect(time.device).toMatch(/^16 cores of this machine/);
    const other = { ...BIG, gpus: [{ name: 'Toy 1', bytes: 1 }] };
    expect(estimateTime(PUBLISHED_SHAPE, recipe(), records(64), other).device).toMatch(
      /^A100, because Toy 1 is unknown/,
    );
    expect(estimateTime(PUBLISHED_SHAPE, recipe(), records(64), { ...BIG, gpus: [] }).device).toMatch(
      /^A100, assuming 68 %/,
    );
  });
});
