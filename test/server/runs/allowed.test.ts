import { describe, expect, it } from 'vitest';
import { requireAllowed, type Devices, type TrainingRules } from '../../../src/server/runs/allowed.js';

const rules: TrainingRules = { trackers: [], most_processes: null };
const machine = (devices: Devices) => async (): Promise<Devices> => devices;

describe('trackers', () => {
  const one = { trackers: ['wandb' as const], processes: 1, device: 'cpu' as const };
  it('are refused by default, and allowed if the configuration lists them', async () => {
    await expect(requireAllowed(one, rules)).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: /wandb/ });
    await requireAllowed(one, { ...rules, trackers: ['wandb'] });
    await expect(requireAllowed(one, { ...rules, trackers: ['mlflow'] })).rejects.toThrow(/wandb/);
  });
});

describe('processes', () => {
  const wants = (processes: number, device: 'cpu' | 'cuda', most: number | null, devices: Devices): Promise<void> =>
    requireAllowed({ trackers: [], processes, device }, { ...rules, most_processes: most }, machine(devices));

  it.each<[number, 'cpu' | 'cuda', number | null, Devices]>([
    [1, 'cpu', null, { gpus: 0, cores: 1 }],
    [2, 'cpu', null, { gpus: 0, cores: 2 }],
    [8, 'cuda', null, { gpus: 8, cores: 2 }],
    [1, 'cuda', null, { gpus: 0, cores: 2 }],
    [2, 'cuda', 4, { gpus: undefined, cores: 2 }],
  ])('of %d on %s with the limit %s are taken', async (...args) => {
    await expect(wants(...args)).resolves.toBeUndefined();
  });

  it.each<[number, 'cpu' | 'cuda', number | null, Devices, RegExp]>([
    [16, 'cpu', null, { gpus: 0, cores: 2 }, /2 cores/],
    [2, 'cuda', null, { gpus: 0, cores: 64 }, /0 GPUs/],
    [2, 'cuda', null, { gpus: 1, cores: 64 }, /1 GPUs/],
    [2, 'cuda', null, { gpus: undefined, cores: 64 }, /most_processes/],
    [5, 'cuda', 4, { gpus: 8, cores: 64 }, /most_processes: 4/],
    [4, 'cpu', 8, { gpus: 0, cores: 2 }, /2 cores/],
  ])('of %d on %s with the limit %s are refused', async (processes, device, most, devices, why) => {
    await expect(wants(processes, device, most, devices)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(wants(processes, device, most, devices)).rejects.toThrow(why);
  });
});
