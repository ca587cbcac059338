import { resolve } from 'node:path';
import { DigestSet } from '../../base/digest-set.js';
import { pathOf } from '../media-input.js';
import type { ExpandOptions, SourceName } from './media-source.js';

/** Returns true at the first occurrence of an input. A repeated input is reported. */
export type FirstTime = (name: SourceName) => boolean;

export function everyTime(): FirstTime {
  return () => true;
}

/** Paths are equal if they have the same absolute path. URLs and stdin are compared by name. */
export function firstTime(onPassedOver: ExpandOptions['onPassedOver']): FirstTime {
  const seen = new DigestSet();
  return (name) => {
    if (seen.add(keyOf(name))) return true;
    onPassedOver?.({ input: textOf(name), reason: 'repeated' });
    return false;
  };
}

function keyOf(name: SourceName): string {
  if (name === '-' || isUrl(name)) return `name:${name as string}`;
  return resolve(oneByteText(process.cwd()), oneByteText(pathOf(name) as string | Buffer));
}

/** One character per byte, so that paths of any bytes can be made absolute and compared. */
const oneByteText = (path: string | Buffer): string => Buffer.from(path as string).toString('latin1');

export const isUrl = (name: SourceName): boolean => typeof name === 'string' && /^https?:\/\//i.test(name);

export const textOf = (name: SourceName): string =>
  typeof name === 'string' ? name : Buffer.from(name.path).toString('utf8');
