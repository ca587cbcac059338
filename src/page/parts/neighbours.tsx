import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';

interface NeighboursProps {
  /** Name of the navigation for screen readers. */
  readonly label: string;
  /** Text of the link to the list. */
  readonly all: string;
  /** Addresses of the rows beside this one, for example "#/item/3". */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Links to the rows before and after in the shown order; the arrow keys do the same. */
export function Neighbours({ label, all, before, after }: NeighboursProps): JSX.Element {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.target !== document.body && !(event.target as Element).matches('h1')) return;
      const to = event.key === 'ArrowLeft' ? before : event.key === 'ArrowRight' ? after : undefined;
      if (to !== undefined) location.hash = to;
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [before, after]);
  const link = (to: string | undefined, text: string): JSX.Element =>
    to === undefined ? <span class="soft">{text}</span> : <a href={to}>{text}</a>;
  return (
    <nav class="crumbs" aria-label={label}>
      <a href="#/">{all}</a>
      {link(before, 'Previous')}
      {link(after, 'Next')}
    </nav>
  );
}
