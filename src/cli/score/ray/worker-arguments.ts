import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ScoreFlags } from '../request.js';

/** Flags that a shard worker on another host gets. The driver adds the device; shards and output come separately. */
const FORWARDED = [
  ...(['task', 'model', 'base', 'revision', 'precision', 'scale', 'prompt', 'calibration'] as const),
  ...(['keep', 'limit', 'strict', 'allow-urls', 'auto-orient', 'fps', 'max-frames', 'frame-rule'] as const),
  ...(['batch', 'deterministic', 'offline'] as const),
];
/** Values that can be files or folders, which the nodes have at the same place. */
const PATHS: readonly string[] = ['model', 'base', 'prompt', 'calibration'];

/** The arguments of a shard worker for the flags of this command. Existing paths become absolute. */
export function workerArguments(flags: ScoreFlags): string[] {
  return FORWARDED.flatMap((name) => {
    const value = flags[name];
    const values = Array.isArray(value) ? value : value === undefined || value === false ? [] : [value];
    return values.map((one) => (one === true ? `--${name}` : `--${name}=${place(name, one)}`));
  });
}

// a plain word is a name of configs/, also if a folder has this name
const place = (name: string, value: string | number): string =>
  typeof value === 'string' && PATHS.includes(name) && /[/.]/.test(value) && existsSync(value)
    ? resolve(value)
    : String(value);
