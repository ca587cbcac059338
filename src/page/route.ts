import { signal } from '@preact/signals';

/** The part of the address after `#`, without its first slash: `jobs/job_1` is `['jobs', 'job_1']`. */
export const route = signal<readonly string[]>(parse());

function parse(): readonly string[] {
  return location.hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
}

addEventListener('hashchange', () => {
  route.value = parse();
  // A screen reader continues at the new heading.
  queueMicrotask(() => document.querySelector<HTMLElement>('main h1')?.focus());
  scrollTo(0, 0);
});

export const linkTo = (...parts: readonly string[]): string => `#/${parts.map(encodeURIComponent).join('/')}`;
