import { useSignal, type Signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { apiKey, explain } from '../session.js';

export interface Loaded<T> {
  readonly value: Signal<T | undefined>;
  readonly problem: Signal<string | undefined>;
  readonly reload: () => void;
}

/** Loads a value, and loads it again after a new key and every `everyMs`. */
export function useLoaded<T>(load: () => Promise<T>, everyMs?: number): Loaded<T> {
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const reload = (): void => {
    load().then(
      (loaded) => {
        value.value = loaded;
        problem.value = undefined;
      },
      (error: unknown) => (problem.value = explain(error)),
    );
  };
  const key = apiKey.value;
  useEffect(() => {
    reload();
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), everyMs);
    return () => clearInterval(timer);
  }, [key]);
  return { value, problem, reload };
}
