import { openBridge, type Bridge, type WorkerLink } from '../../bridge/client.js';
import type { PythonCommand } from './python/environment.js';

export interface WorkerEnvironment {
  readonly python: PythonCommand;
  /** `cpu`, `cuda:0`, … */
  readonly device: string;
  readonly signal?: AbortSignal | undefined;
}

/** Starts one worker, runs `ask` with it, and stops it in any case. */
export async function withWorker<T>(
  { python, device, signal }: WorkerEnvironment,
  ask: (worker: WorkerLink) => Promise<T>,
  open: () => Promise<Bridge> = openBridge,
): Promise<T> {
  const bridge = await open();
  try {
    return await ask(await bridge.startWorker({ python, device, ...(signal === undefined ? {} : { signal }) }));
  } finally {
    await bridge.close();
  }
}
