import { readFileSync } from 'node:fs';
import { mediaAt, pathFrom } from '../media-input.js';
import type { SourceName } from './media-source.js';

/**
 * Arguments of the command line with the bytes that they had: Node replaces those that are not UTF-8 by U+FFFD, and
 * Linux keeps them in /proc. Elsewhere the arguments come back as they are.
 */
export function argumentNames(words: readonly string[], commandLine: () => Buffer = ownCommandLine): SourceName[] {
  if (!words.some((word) => word.includes('\ufffd'))) return [...words];
  const exact = splitAtZeros(commandLine());
  // the same text may stand for several names: the first of the words is the first of the arguments
  return words.map((word) => {
    if (!word.includes('\ufffd')) return word;
    const place = exact.findIndex((bytes) => bytes.toString('utf8') === word);
    return place < 0 ? word : mediaAt(pathFrom(exact.splice(place, 1)[0] as Buffer));
  });
}

function ownCommandLine(): Buffer {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return Buffer.alloc(0);
  }
}

function splitAtZeros(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let from = 0;
  for (let to = bytes.indexOf(0); to >= 0; to = bytes.indexOf(0, from)) {
    parts.push(bytes.subarray(from, to));
    from = to + 1;
  }
  return parts;
}
