import type { ComponentChildren, JSX } from 'preact';

/** Shown where a list has no rows: what it will contain, and how to get there. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Skeleton(): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: 4 }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}

export function Problem({
  text,
  retry,
}: {
  readonly text: string;
  readonly retry?: (() => void) | undefined;
}): JSX.Element {
  return (
    <div class="problem" role="alert">
      <p>{text}</p>
      {retry !== undefined && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A status word; the colour repeats what the word says. */
export function Status({ status }: { readonly status: string }): JSX.Element {
  const kind = ['completed', 'loaded', 'ready'].includes(status)
    ? 'ok'
    : ['failed', 'interrupted', 'silent', 'set_aside'].includes(status)
      ? 'bad'
      : ['running', 'loading', 'starting'].includes(status)
        ? 'run'
        : 'wait';
  return <span class={`status status-${kind}`}>{status.replace('_', ' ')}</span>;
}

export function Progress({
  done,
  total,
  label,
}: {
  readonly done: number;
  readonly total: number;
  readonly label: string;
}): JSX.Element {
  return <progress max={Math.max(1, total)} value={done} aria-label={label} />;
}
