import { existsSync, readdirSync } from 'node:fs';

/** What the system shows about GPUs without torch, whose import takes two seconds. */
export interface GpuHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly exists: (path: string) => boolean;
  /** Names in a folder; empty if it does not exist. */
  readonly list: (folder: string) => readonly string[];
}

export const gpuHost: GpuHost = {
  env: process.env,
  exists: existsSync,
  list: (folder) => (existsSync(folder) ? readdirSync(folder) : []),
};

const DRIVERS = ['/dev/nvidiactl', '/dev/dxg', '/dev/kfd'];

/**
 * Counts the GPUs that torch built for CUDA finds. Returns undefined if only torch can tell: on WSL, on AMD, or with
 * parts of a GPU (MIG). The same holds for a list of visible devices that is not plain distinct indices.
 */
export function countGpus({ env, exists, list }: GpuHost): number | undefined {
  if (!DRIVERS.some((path) => exists(path))) return 0;
  if (exists('/dev/dxg') || exists('/dev/kfd')) return undefined;
  const devices = list('/dev').filter((name) => /^nvidia\d+$/.test(name)).length;
  // a container can hide device files that the driver still counts, and the driver can lack a file that was removed
  const known = list('/proc/driver/nvidia/gpus').length;
  const parts = list('/dev/nvidia-caps').some((name) => /^nvidia-cap(?!1$|2$)\d+$/.test(name));
  if (devices === 0 || devices !== known || parts) return undefined;
  const visible = env['CUDA_VISIBLE_DEVICES'];
  if (visible === undefined) return devices;
  const indices = visible.split(',').map((part) => part.trim());
  const plain = indices.every((part) => /^\d{1,3}$/.test(part) && Number(part) < devices);
  return plain && new Set(indices.map(Number)).size === indices.length ? indices.length : undefined;
}
