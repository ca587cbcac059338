import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { SERVICE } from '../session.js';
import { filesOfDrop, pick, sourcesOf } from './inputs.js';
import { addInputs } from './intake.js';

/** Takes pictures and clips: dropped anywhere on the page, pasted, chosen, or named by URL or path. */
export function DropZone({ isLarge }: { readonly isLarge: boolean }): JSX.Element {
  const isOver = useSignal(false);
  const skipped = useSignal(0);
  const isListing = useSignal(false);
  const take = (files: readonly File[]): void => {
    const picked = pick(files);
    skipped.value = picked.skipped;
    if (picked.files.length > 0) addInputs(picked.files.map((file) => ({ file })));
  };
  useEffect(() => listenForFiles(take, (over) => (isOver.value = over)), []);
  return (
    <section
      class={`drop${isLarge ? ' drop-large' : ''}${isOver.value ? ' drop-over' : ''}`}
      aria-label="Add pictures and clips"
    >
      <p class="drop-title">Drop pictures, clips or a folder</p>
      <p class="soft">or paste a picture. Files go only to {new URL(SERVICE).host}; nothing leaves this host.</p>
      <div class="actions">
        <Choose label="Choose files" onFiles={take} />
        <Choose label="Choose a folder" onFiles={take} isFolder />
        <button type="button" aria-expanded={isListing.value} onClick={() => (isListing.value = !isListing.value)}>
          List URLs or paths
        </button>
      </div>
      {isListing.value && <ListForm onDone={() => (isListing.value = false)} />}
      {skipped.value > 0 && (
        <p role="status" class="soft">
          {skipped.value} {skipped.value === 1 ? 'file was' : 'files were'} left out: neither a picture nor a clip.
        </p>
      )}
    </section>
  );
}

function listenForFiles(take: (files: readonly File[]) => void, over: (isOver: boolean) => void): () => void {
  const onOver = (event: DragEvent): void => {
    if (event.dataTransfer?.types.includes('Files') !== true) return;
    event.preventDefault();
    over(true);
  };
  const onLeave = (event: DragEvent): void => {
    if (event.relatedTarget === null) over(false);
  };
  const onDrop = (event: DragEvent): void => {
    over(false);
    if (event.dataTransfer === null) return;
    event.preventDefault();
    void filesOfDrop(event.dataTransfer).then(take);
  };
  const onPaste = (event: ClipboardEvent): void => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length > 0) take(files);
  };
  addEventListener('dragover', onOver);
  addEventListener('dragleave', onLeave);
  addEventListener('drop', onDrop);
  addEventListener('paste', onPaste);
  return () => {
    removeEventListener('dragover', onOver);
    removeEventListener('dragleave', onLeave);
    removeEventListener('drop', onDrop);
    removeEventListener('paste', onPaste);
  };
}

export function Choose({
  label,
  onFiles,
  isFolder = false,
}: {
  readonly label: string;
  readonly onFiles: (files: readonly File[]) => void;
  readonly isFolder?: boolean;
}): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (isFolder) input.current?.setAttribute('webkitdirectory', '');
  }, []);
  const onChange = (event: { readonly currentTarget: HTMLInputElement }): void => {
    onFiles([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = ''; // The same file can be chosen again.
  };
  return (
    <>
      <button type="button" onClick={() => input.current?.click()}>
        {label}
      </button>
      <input ref={input} class="hidden" type="file" multiple tabIndex={-1} aria-label={label} onChange={onChange} />
    </>
  );
}

function ListForm({ onDone }: { readonly onDone: () => void }): JSX.Element {
  const text = useSignal('');
  const found = sourcesOf(text.value);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (found.length === 0) return;
    addInputs(found.map((source) => ({ source })));
    onDone();
  };
  return (
    <form class="list-form" onSubmit={submit}>
      <label>
        URLs, or paths below the root of the service, one on each line
        <textarea rows={4} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)} />
      </label>
      <div class="actions">
        <button type="submit" class="primary" disabled={found.length === 0}>
          Score {found.length === 0 ? '' : found.length}
        </button>
        <span class="soft">The service fetches URLs only if it allows them (allow_urls).</span>
      </div>
    </form>
  );
}
