import { useSignal, type Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useObjectUrl } from '../parts/object-url.js';
import { isClip } from '../score/inputs.js';

interface View {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

const START: View = { zoom: 1, x: 0, y: 0 };
const STEP = 40;

/** Zoom and position of both pictures, and what changes them. */
function useView() {
  const view = useSignal<View>(START);
  const move = (x: number, y: number): void =>
    void (view.value = { ...view.value, x: view.value.x + x, y: view.value.y + y });
  const zoomBy = (factor: number): void => {
    const { zoom: before, x, y } = view.value;
    const zoom = Math.min(16, Math.max(1, before * factor));
    view.value = zoom === 1 ? START : { zoom, x: (x * zoom) / before, y: (y * zoom) / before };
  };
  const reset = (): void => void (view.value = START);
  const keys: Readonly<Record<string, () => void>> = {
    '+': () => zoomBy(1.25),
    '=': () => zoomBy(1.25),
    '-': () => zoomBy(0.8),
    '0': reset,
    ArrowLeft: () => move(STEP, 0),
    ArrowRight: () => move(-STEP, 0),
    ArrowUp: () => move(0, STEP),
    ArrowDown: () => move(0, -STEP),
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const act = event.ctrlKey || event.metaKey ? undefined : keys[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };
  const onWheel = (event: WheelEvent): void => {
    if (!event.ctrlKey) return; // The page scrolls with the plain wheel.
    event.preventDefault();
    zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  };
  const onPointerMove = (event: PointerEvent): void => {
    if (event.buttons === 1 && view.value.zoom > 1) move(event.movementX, event.movementY);
  };
  return { view, zoomBy, reset, handlers: { onKeyDown, onWheel, onPointerMove } };
}

/** Both pictures over each other, cut at a movable line, with one zoom and position for both. */
export function Viewer({ a, b }: { readonly a: File; readonly b: File }): JSX.Element {
  const cut = useSignal(50);
  const { view, zoomBy, reset, handlers } = useView();
  const [urlA, urlB] = [useObjectUrl(a), useObjectUrl(b)];
  const transform = `translate(${view.value.x}px, ${view.value.y}px) scale(${view.value.zoom})`;
  return (
    <div class="viewer">
      <div
        class="stage"
        tabIndex={0}
        role="group"
        aria-label="Both pictures. Plus and minus zoom, arrow keys move, 0 resets."
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        {...handlers}
      >
        {urlA !== undefined && urlB !== undefined && (
          <>
            <Side url={urlB} file={b} name="B" transform={transform} clip="none" />
            <Side url={urlA} file={a} name="A" transform={transform} clip={`inset(0 ${100 - cut.value}% 0 0)`} />
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
      <Tools cut={cut} zoom={view.value.zoom} zoomBy={zoomBy} reset={reset} />
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

function Tools({
  cut,
  zoom,
  zoomBy,
  reset,
}: {
  readonly cut: Signal<number>;
  readonly zoom: number;
  readonly zoomBy: (factor: number) => void;
  readonly reset: () => void;
}): JSX.Element {
  return (
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
        <span class="n zoom">{(100 * zoom).toFixed(0)} %</span>
        <button type="button" onClick={() => zoomBy(1.25)} aria-label="Zoom in">
          +
        </button>
        <button type="button" onClick={reset}>
          Fit
        </button>
      </div>
    </div>
  );
}
