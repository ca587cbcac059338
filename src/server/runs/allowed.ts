import { availableParallelism } from 'node:os';
import type { ServeConfig } from '../../config/serve.js';
import type { TrainRecipe } from '../../config/train.js';
import { QalignError } from '../../base/errors.js';
import { readGpus } from '../../recipes/train/machine.js';

/** Rules of the configuration for trainings. */
export type TrainingRules = Pick<ServeConfig, 'trackers' | 'most_processes'>;

/** Devices of this machine; GPUs are undefined where their number is unknown. */
export interface Devices {
  readonly gpus: number | undefined;
  readonly cores: number;
}

const readDevices = async (device: TrainRecipe['device']): Promise<Devices> => ({
  // Counting GPUs starts a program, which a CPU training does not need.
  gpus: device === 'cuda' ? (await readGpus())?.length : 0,
  cores: availableParallelism(),
});

/**
 * Refuses a training with a tracker that the configuration does not allow, or with more processes than devices. @throws
 * QalignError CONFIG_INVALID
 */
export async function requireAllowed(
  { trackers, processes, device }: Pick<TrainRecipe, 'trackers' | 'processes' | 'device'>,
  rules: TrainingRules,
  devicesOf: (device: TrainRecipe['device']) => Promise<Devices> = readDevices,
): Promise<void> {
  const tracker = trackers.find((name) => !rules.trackers.includes(name));
  if (tracker !== undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `This service does not allow the tracker ${tracker}; leave it out, or have it added to trackers in the configuration of the service.`,
    );
  if (rules.most_processes !== null && processes > rules.most_processes)
    throw new QalignError(
      'CONFIG_INVALID',
      `processes=${processes} is above the limit of this service (most_processes: ${rules.most_processes}); use fewer.`,
    );
  if (processes === 1) return;
  const { gpus, cores } = await devicesOf(device);
  const [most, what] = device === 'cpu' ? [cores, 'cores'] : [gpus, 'GPUs'];
  if (most === undefined && rules.most_processes !== null) return; // An explicit limit replaces the count of devices.
  if (processes > Math.max(1, most ?? 1))
    throw new QalignError(
      'CONFIG_INVALID',
      most === undefined
        ? `processes=${processes} is refused because the number of GPUs of this machine is unknown; set most_processes in the configuration of the service.`
        : `processes=${processes} is more than the ${most} ${what} of this machine; use at most ${Math.max(1, most)}.`,
    );
}
