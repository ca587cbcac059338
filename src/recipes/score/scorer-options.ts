import { QalignError } from '../../base/errors.js';
import { hint } from '../../base/suggest.js';
import type { ScorerOptions } from './scorer.js';

/** Every key of ScorerOptions: a misspelt one would be passed over in silence by whoever writes JavaScript. */
const OPTION_KEYS: Readonly<Record<keyof ScorerOptions, true>> = {
  model: true,
  base: true,
  revision: true,
  device: true,
  devices: true,
  listen: true,
  bridgeKeys: true,
  precision: true,
  prompt: true,
  scale: true,
  autoOrient: true,
  fps: true,
  maxFrames: true,
  frameRule: true,
  maxBatchFrames: true,
  offline: true,
  allowUrls: true,
  log: true,
  revive: true,
  onBatch: true,
  onProgress: true,
  signal: true,
};

/** @throws QalignError USAGE for a key that is not known, naming the nearest, and for two ways to name a device */
export function requireKnownOptions(options: ScorerOptions): void {
  const names = Object.keys(OPTION_KEYS);
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(OPTION_KEYS, key));
  if (unknown !== undefined)
    throw new QalignError(
      'USAGE',
      `createScorer has no option "${unknown}"${hint(unknown, names)}; it has ${names.join(', ')}.`,
    );
  if (options.device !== undefined && options.devices !== undefined)
    throw new QalignError('USAGE', 'createScorer takes device or devices, not both.');
}
