import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** An address of a file in this tab, until the component ends or gets another file; undefined before it is made. */
export function useObjectUrl(file: File | undefined): string | undefined {
  const url = useSignal<string | undefined>(undefined);
  useEffect(() => {
    if (file === undefined) return undefined;
    const made = URL.createObjectURL(file);
    url.value = made;
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url.value;
}
