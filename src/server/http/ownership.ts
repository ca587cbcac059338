import type { Client } from './client-key.js';

/** Whose jobs and runs a client sees: its own; undefined, everybody's, for admin. */
export const visibleOwner = ({ name, scopes }: Client): string | undefined =>
  scopes.includes('admin') ? undefined : name;

/** What another client owns does not exist for this one. */
export const isVisible = ({ owner }: { readonly owner: string }, client: Client): boolean =>
  [undefined, owner].includes(visibleOwner(client));
