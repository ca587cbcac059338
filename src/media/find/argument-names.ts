import { readFileSync } from 'node:fs';
import { mediaAt, pathFrom } from '../media-input.js';
import type { SourceName } from './media-source.js';

/**
 * Restores the bytes of the command-line arguments. Node replaces bytes that are not UTF-8 by U+FFFD, but Linux keeps
 * the original arguments in /proc. On other systems the arguments are returned unchanged.
 */
export function argumentNames(words: readonly string[], commandLine: () => Buffer = ownCommandLine): SourceName[] {
  if (!words.some((word) => word.includes('\ufffd'))) return [...words];
  const exact = splitAtZeros(commandLine());
  // several names can have the same text, so they are matched in order
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
