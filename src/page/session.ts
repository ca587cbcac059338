import { computed, signal } from '@preact/signals';
import { createClient, ServiceError } from '../client/client.js';
import { toServiceError } from '../client/service-error.js';
import type { ModelRow } from '../api/models.js';

/** The boundary of src/page: one page over the HTTP API. It computes no score, and stores only the key, in this tab. */

/** URL of the service without a slash at the end. The page can be below a path prefix of a reverse proxy. */
export const SERVICE = new URL('.', document.baseURI).href.replace(/\/$/, '');

/** What "qalign view" shows without a service; undefined on the page of a service. */
export const viewing = document.getElementById('page')?.dataset['view'] as 'results' | 'run' | 'evaluation' | undefined;

const STORED = 'qalign-key';
export const apiKey = signal(sessionStorage.getItem(STORED) ?? '');
/** Why the service asks for a key; undefined: it does not. */
export const keyProblem = signal<string | undefined>(undefined);

export const client = computed(() =>
  createClient({ url: SERVICE, retries: 0, ...(apiKey.value === '' ? {} : { key: apiKey.value }) }),
);
export const models = signal<readonly ModelRow[] | undefined>(undefined);
/** Undefined until the first answer. */
export const isReady = signal<boolean | undefined>(undefined);

export function setKey(key: string): void {
  apiKey.value = key;
  keyProblem.value = undefined;
  if (key === '') sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, key);
}

/** The sentence for a failed call. A refused key opens the key form. */
export function explain(error: unknown): string {
  if (error instanceof ServiceError) {
    if (error.status === 401)
      keyProblem.value =
        apiKey.value === ''
          ? 'This service needs an API key.'
          : 'The service does not know this key. Check it, or ask for a new one.';
    return error.message;
  }
  if (error instanceof TypeError) return 'The service does not answer. Check that it runs, then try again.';
  return error instanceof Error ? error.message : String(error);
}

/** A GET that is not part of the typed client. @throws ServiceError */
export async function getText(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const response = await fetch(`${SERVICE}${path}`, {
    headers: { ...(apiKey.value === '' ? {} : { Authorization: `Bearer ${apiKey.value}` }), ...headers },
  });
  if (response.ok) return response;
  throw await toServiceError(response, 1);
}

/** Asks for models and readiness. Called at the start, after a new key, and every few seconds while not ready. */
export async function refreshService(): Promise<void> {
  try {
    models.value = (await client.value.models.list()).models;
    isReady.value = await client.value.ready();
  } catch (error) {
    isReady.value = false;
    explain(error);
  }
}
