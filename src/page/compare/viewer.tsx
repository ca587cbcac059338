import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { isClip } from '../score/thumbnails.js';

interface View {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

const START: View = { zoom: 1, x: 0, y: 0 };
const STEP = 40;

/** Both pictures over each other, cut at a movable line, with one zoom and position for both. */
export function Viewer({ a, b }: { readonly a: File; readonly b: File }): JSX.Element {
  const cut = useSignal(50);
  const view = useSignal<View>(START);
  const urls = useSignal<readonly [string, string] | undefined>(undefined);
  useEffect(() => {
    const made = [URL.createObjectURL(a), URL.createObjectURL(b)] as const;
    urls.value = made;
    return () => made.forEach((url) => URL.revokeObjectURL(url));
  }, [a, b]);
  const move = (x: number, y: number): void =>
    void (view.value = { ...view.value, x: view.value.x + x, y: view.value.y + y });
  const zoomBy = (factor: number): void => {
    const zoom = Math.min(16, Math.max(1, view.value.zoom * factor));
    view.value =
      zoom === 1
        ? START
        : { zoom, x: (view.value.x * zoom) / view.value.zoom, y: (view.value.y * zoom) / view.value.zoom };
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Readonly<Record<string, () => void>> = {
      '+': () => zoomBy(1.25),
      '=': () => zoomBy(1.25),
      '-': () => zoomBy(0.8),
      '0': () => (view.value = START),
      ArrowLeft: () => move(STEP, 0),
      ArrowRight: () => move(-STEP, 0),
      ArrowUp: () => move(0, STEP),
      ArrowDown: () => move(0, -STEP),
    };
    const act = moves[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };
  const transform = `translate(${view.value.x}px, ${view.value.y}px) scale(${view.value.zoom})`;
  return (
    <div class="viewer">
      <div
        class="stage"
        tabIndex={0}
        role="group"
        aria-label="Both pictures. Plus and minus zoom, arrow keys move, 0 resets."
        onKeyDown={onKeyDown}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={(event) => {
          if (event.buttons === 1 && view.value.zoom > 1) move(event.movementX, event.movementY);
        }}
        onWheel={(event) => {
          if (!event.ctrlKey) return; // The page scrolls with the plain wheel.
          event.preventDefault();
          zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
        }}
      >
        {urls.value !== undefined && (
          <>
            <Side url={urls.value[1]} file={b} name="B" transform={transform} clip="none" />
            <Side
              url={urls.value[0]}
              file={a}
              name="A"
              transform={transform}
              clip={`inset(0 ${100 - cut.value}% 0 0)`}
            />
          </>
        )}
        <span class="cut" style={{ left: `${cut.value}%` }} aria-hidden="true" />
        <span class="tag tag-a" aria-hidden="true">
          A
        </span>
        <span class="tag tag-b" aria-hidden="true">
          B
        </span>
      </div>
      <div class="viewer-tools">
        <label>
          A to B
          <input
            type="range"
            min="0"
            max="100"
            value={cut.value}
            onInput={(event) => (cut.value = Number(event.currentTarget.value))}
          />
        </label>
        <div class="actions">
          <button type="button" onClick={() => zoomBy(0.8)} aria-label="Zoom out">
            −
          </button>
          <span class="n zoom">{(100 * view.value.zoom).toFixed(0)} %</span>
          <button type="button" onClick={() => zoomBy(1.25)} aria-label="Zoom in">
            +
          </button>
          <button type="button" onClick={() => (view.value = START)}>
            Fit
          </button>
        </div>
      </div>
    </div>
  );
}

function Side(props: {
  readonly url: string;
  readonly file: File;
  readonly name: string;
  readonly transform: string;
  readonly clip: string;
}): JSX.Element {
  const inner = { transform: props.transform };
  return (
    <div class="side" style={{ clipPath: props.clip }}>
      {isClip(props.file) ? (
        <video src={props.url} style={inner} muted loop autoplay playsInline aria-label={`Clip ${props.name}`} />
      ) : (
        <img src={props.url} style={inner} alt={`Picture ${props.name}`} draggable={false} />
      )}
    </div>
  );
}
