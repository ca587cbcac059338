/** Longest wait for a clip to open or for a frame, in ms. */
const PATIENCE_MS = 10_000;

/** Opens a clip of this tab in a video element that is not shown. Free its `src` after use. */
export async function openClip(file: File): Promise<HTMLVideoElement> {
  const video = document.createElement('video');
  video.muted = true;
  video.preload = 'auto';
  video.src = URL.createObjectURL(file);
  await once(video, 'loadeddata');
  return video;
}

export async function seek(video: HTMLVideoElement, seconds: number): Promise<void> {
  video.currentTime = Math.min(seconds, video.duration);
  await once(video, 'seeked');
}

function once(video: HTMLVideoElement, event: 'loadeddata' | 'seeked'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no frame in time')), PATIENCE_MS);
    video.addEventListener(event, () => (clearTimeout(timer), resolve()), { once: true });
    video.onerror = () => (clearTimeout(timer), reject(new Error('the browser has no decoder for it')));
  });
}

/** A picture of at most `side` pixels a side as an object URL. */
export async function toPicture(source: HTMLVideoElement | ImageBitmap, side: number): Promise<string> {
  const [width, height] =
    source instanceof HTMLVideoElement ? [source.videoWidth, source.videoHeight] : [source.width, source.height];
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext('2d')?.drawImage(source, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/webp', 0.8));
  if (blob === null) throw new Error('no picture');
  return URL.createObjectURL(blob);
}

/** A position within the frame that is shown from `seconds` on; browsers round to the frame before it otherwise. */
export const within = (seconds: number): number => seconds + 0.001;
