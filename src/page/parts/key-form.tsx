import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { apiKey, client, explain, keyProblem, refreshService, setKey } from '../session.js';

/** Opens the form, also to replace or forget a key. */
export function KeyButton(): JSX.Element {
  return (
    <button class="link" type="button" onClick={() => (keyProblem.value = 'Enter an API key of this service.')}>
      {apiKey.value === '' ? 'API key' : 'API key set'}
    </button>
  );
}

/** Asks for an API key when the service refuses a request without one. */
export function KeyForm(): JSX.Element | null {
  const typed = useSignal('');
  const problem = keyProblem.value;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const shown = dialog.current;
    if (shown === null) return;
    if (problem !== undefined && !shown.open) shown.showModal();
    if (problem === undefined && shown.open) shown.close();
  }, [problem]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setKey(typed.value.trim());
    try {
      await client.value.models.list();
      await refreshService();
      typed.value = '';
    } catch (error) {
      keyProblem.value = explain(error);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby="key-title" onCancel={() => (keyProblem.value = undefined)}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="key-title">API key</h2>
        <p role="alert">{problem}</p>
        <label>
          Key
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="qa_…"
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
        </label>
        <p class="soft">This tab keeps the key until you close it. It is sent only to this service.</p>
        <div class="actions">
          <button type="submit" class="primary" disabled={typed.value.trim() === ''}>
            Use key
          </button>
          {apiKey.value !== '' && (
            <button type="button" onClick={() => (setKey(''), void refreshService())}>
              Forget key
            </button>
          )}
          <button type="button" onClick={() => (keyProblem.value = undefined)}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  );
}
