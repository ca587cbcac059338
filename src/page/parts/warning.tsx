import type { JSX } from 'preact';

/** A sentence beside a mark, so that the colour is not the only sign. */
export function Warning({ text }: { readonly text: string }): JSX.Element {
  return (
    <span class="warning" title={text}>
      <svg viewBox="0 0 16 16" width="14" height="14" role="img" aria-label="Warning">
        <path d="M8 1.5 15 14H1Z" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round" />
        <path d="M8 6v4M8 11.4v1.2" stroke="currentColor" stroke-width="1.5" />
      </svg>
      <span>{text}</span>
    </span>
  );
}
