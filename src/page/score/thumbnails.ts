import { signal, type Signal } from '@preact/signals';
import { openClip, seek, toPicture } from './curve/clip-frames.js';
import { isClip } from './inputs.js';

const SIDE = 112;
const CONCURRENT = 2;
const known = new WeakMap<File, Signal<string | null | undefined>>();
const waiting: (() => Promise<void>)[] = [];
let active = 0;

/** A small picture of a file as an object URL; undefined: not made yet; null: the browser cannot show it. */
export function thumbnailOf(file: File): Signal<string | null | undefined> {
  const found = known.get(file);
  if (found !== undefined) return found;
  const url = signal<string | null | undefined>(undefined);
  known.set(file, url);
  // The newest first: rows that were just scrolled into view.
  waiting.unshift(async () => void (url.value = await make(file).catch(() => null)));
  next();
  return url;
}

function next(): void {
  while (active < CONCURRENT && waiting.length > 0) {
    active += 1;
    void waiting.shift()!().finally(() => {
      active -= 1;
      next();
    });
  }
}

/** Time of the frame of a clip, in seconds. */
const FIRST_S = 0.01;

async function make(file: File): Promise<string> {
  if (!isClip(file)) {
    const bitmap = await createImageBitmap(file);
    return toPicture(bitmap, SIDE).finally(() => bitmap.close());
  }
  const video = await openClip(file);
  await seek(video, FIRST_S);
  return toPicture(video, SIDE).finally(() => URL.revokeObjectURL(video.src));
}
