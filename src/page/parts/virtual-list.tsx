import { useSignal, type Signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

const OVERSCAN = 6;
/** Browsers limit the height of an element, to 17 million px or more. A taller list scrolls in proportion. */
const MOST_PX = 8_000_000;
const REST_MS = 150;

interface View {
  /** Of the scroll box, in px. */
  readonly scroll: number;
  /** Of the list as if it had its full height, in px. */
  readonly top: number;
  readonly height: number;
}

/** Rows of one height, of which only those in view are in the document. A million rows scroll smoothly. */
export function VirtualList({
  count,
  height,
  label,
  head,
  row,
}: {
  readonly count: number;
  /** Of a row, in px. */
  readonly height: number;
  readonly label: string;
  readonly head: ComponentChildren;
  readonly row: (index: number) => JSX.Element;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const view = useSignal<View>({ scroll: 0, top: 0, height: 800 });
  const full = count * height;
  const drawn = Math.min(full, MOST_PX);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    return watchScroll(element, { full, drawn }, view);
  }, [full]);
  const { scroll, top, height: seen } = view.value;
  const from = Math.max(0, Math.floor(top / height) - OVERSCAN);
  const to = Math.min(count, Math.ceil((top + seen) / height) + OVERSCAN);
  const rows = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  return (
    <div
      class="list"
      ref={box}
      role="table"
      aria-label={label}
      aria-rowcount={count + 1}
      tabIndex={0}
      style={{ maxHeight: `${drawn + 46}px` }}
    >
      <div class="list-head" role="rowgroup">
        <div class="list-row" role="row" aria-rowindex={1}>
          {head}
        </div>
      </div>
      <div role="rowgroup" class="list-body" style={{ height: `${drawn}px` }}>
        {rows.map((index) => (
          <div
            key={index}
            role="row"
            class="list-row"
            aria-rowindex={index + 2}
            style={{ transform: `translateY(${scroll + index * height - top}px)`, height: `${height}px` }}
          >
            {row(index)}
          </div>
        ))}
      </div>
    </div>
  );
}

/**
 * Keeps the view of a scroll box. A jump moves the list in proportion. A small scroll moves it by the same number of
 * px. After a rest the scroll bar is set to the place in the list.
 */
function watchScroll(
  element: HTMLElement,
  { full, drawn }: { readonly full: number; readonly drawn: number },
  view: Signal<View>,
): () => void {
  let rest: ReturnType<typeof setTimeout> | undefined;
  const measure = (): void => {
    const { scrollTop: scroll, clientHeight: height } = element;
    const [end, fullEnd] = [Math.max(1, drawn - height), Math.max(1, full - height)];
    const before = view.value;
    const moved = scroll - before.scroll;
    const isSmall = Math.abs(moved) <= height && scroll > 0 && scroll < end;
    const top = drawn === full ? scroll : isSmall ? before.top + moved : (scroll / end) * fullEnd;
    view.value = { scroll, top: Math.max(0, Math.min(full, top)), height };
    clearTimeout(rest);
    if (drawn === full) return;
    rest = setTimeout(() => {
      const place = Math.round((view.value.top / fullEnd) * end);
      if (Math.abs(place - element.scrollTop) < 2) return;
      view.value = { ...view.value, scroll: place };
      element.scrollTop = place;
    }, REST_MS);
  };
  const observer = new ResizeObserver(measure);
  observer.observe(element);
  element.addEventListener('scroll', measure, { passive: true });
  return () => {
    clearTimeout(rest);
    observer.disconnect();
    element.removeEventListener('scroll', measure);
  };
}
