import { startWaitingProcess, type WaitingProcess } from '../../../bridge/worker-process.js';
import { knownPython } from '../../engine/python/environment.js';

/**
 * Starts a worker process before modules, inputs and model of `qalign score` are read. Returns undefined if the line
 * scores nothing or the Python environment is unknown. The caller ends the process if the command does not adopt it.
 */
export async function startAhead(line: readonly string[]): Promise<WaitingProcess | undefined> {
  if (!mayScore(line)) return undefined;
  const python = await knownPython().catch(() => undefined); // the command meets the same error and reports it
  return python && startWaitingProcess(python);
}

/** Whether the line has an input, a local device, and neither prints help nor continues a file that can be complete. */
export function mayScore(line: readonly string[]): boolean {
  const isRemote = line.some((word) => /^((--device=)?remote(:\d+)?|--ray(=.*)?)$/.test(word));
  const needsNone = ['-h', '--help', '--resume'].some((word) => line.includes(word));
  return !isRemote && !needsNone && line.some((word) => word === '-' || !word.startsWith('-'));
}
