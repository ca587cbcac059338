import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { FrameCurve } from '../../../api/frame-curve.js';
import { openClip, seek, toPicture, within } from './clip-frames.js';

const SIDE = 240;

interface Props {
  /** Undefined for a clip that is not in this tab: the frames then have no pictures. */
  readonly file: File | undefined;
  readonly curve: FrameCurve;
  readonly text: (score: number) => string;
  readonly select: (index: number) => void;
}

/** The frames with the lowest scores. The pictures come from the clip in this tab. */
export function WorstFrames({ file, curve, text, select }: Props): JSX.Element {
  const pictures = useSignal<readonly string[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const made: string[] = [];
    const times = curve.worst.map((index) => curve.times_s[index] ?? 0);
    if (file !== undefined)
      void draw(file, times, stop.signal, (url) => (pictures.value = [...(made.push(url), made)])).catch(() => {
        // the browser cannot decode the clip; the buttons stay without pictures
      });
    return () => {
      stop.abort();
      made.forEach((url) => URL.revokeObjectURL(url));
    };
  }, [file, curve]);
  return (
    <div class="worst">
      <h3>Lowest scores</h3>
      <ol>
        {curve.worst.map((index, place) => {
          const time = `${(curve.times_s[index] ?? 0).toFixed(1)} s`;
          const url = pictures.value[place];
          return (
            <li key={index}>
              <button type="button" onClick={() => select(index)}>
                {url !== undefined && <img src={url} alt="" />}
                <span>
                  {text(curve.scores[index] ?? 0)} at {time}
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}

async function draw(
  file: File,
  times: readonly number[],
  stop: AbortSignal,
  onPicture: (url: string) => void,
): Promise<void> {
  const video = await openClip(file);
  try {
    for (const time of times) {
      await seek(video, within(time));
      const url = await toPicture(video, SIDE);
      if (stop.aborted) return URL.revokeObjectURL(url);
      onPicture(url);
    }
  } finally {
    URL.revokeObjectURL(video.src);
  }
}
