import { useSignal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

const OVERSCAN = 6;

/** Rows of one height, of which only those in view are in the document. A hundred thousand rows scroll smoothly. */
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
  const view = useSignal({ top: 0, height: 800 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const measure = (): void => void (view.value = { top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  const from = Math.max(0, Math.floor(view.value.top / height) - OVERSCAN);
  const to = Math.min(count, Math.ceil((view.value.top + view.value.height) / height) + OVERSCAN);
  const rows = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  return (
    <div
      class="list"
      ref={box}
      role="table"
      aria-label={label}
      aria-rowcount={count + 1}
      tabIndex={0}
      style={{ maxHeight: `${count * height + 46}px` }}
    >
      <div class="list-head" role="rowgroup">
        <div class="list-row" role="row" aria-rowindex={1}>
          {head}
        </div>
      </div>
      <div role="rowgroup" class="list-body" style={{ height: `${count * height}px` }}>
        {rows.map((index) => (
          <div
            key={index}
            role="row"
            class="list-row"
            aria-rowindex={index + 2}
            style={{ transform: `translateY(${index * height}px)`, height: `${height}px` }}
          >
            {row(index)}
          </div>
        ))}
      </div>
    </div>
  );
}
