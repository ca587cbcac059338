import { signal, type Signal } from '@preact/signals';
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

async function make(file: File): Promise<string> {
  const source = isClip(file) ? await frameOf(file) : await createImageBitmap(file);
  const [width, height] =
    source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext('2d')?.drawImage(source, 0, 0, canvas.width, canvas.height);
  if (source instanceof HTMLVideoElement) URL.revokeObjectURL(source.src);
  else source.close();
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/webp', 0.8));
  if (blob === null) throw new Error('no picture');
  return URL.createObjectURL(blob);
}

/** Time of the frame, in seconds. */
const FIRST_S = 0.01;

/** The first frame that the browser can show. */
function frameOf(file: File): Promise<HTMLVideoElement> {
  return new Promise((resolve, reject) => {
    const video = document.createElement('video');
    const timer = setTimeout(() => reject(new Error('no frame in time')), 10_000);
    video.muted = true;
    video.preload = 'auto';
    video.onseeked = () => (clearTimeout(timer), resolve(video));
    video.onerror = () => (clearTimeout(timer), reject(new Error('the browser has no decoder for it')));
    video.onloadeddata = () => (video.currentTime = Math.min(FIRST_S, video.duration));
    video.src = URL.createObjectURL(file);
  });
}
