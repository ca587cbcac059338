import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';

/** Says that the service asked to wait, with the seconds that are left. */
export function PauseNote({ until }: { readonly until: number }): JSX.Element {
  const now = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, Math.ceil((until - now.value) / 1000));
  return (
    <p class="note pause">
      The service is busy. Sending continues in <span class="n">{left} s</span>, as it asked.
    </p>
  );
}
