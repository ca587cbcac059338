import { createHash, randomBytes } from 'node:crypto';

/** What a key may be for; `admin` includes the others. */
export const SCOPES = ['score', 'jobs', 'train', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What a route asks of its client. `open`: nothing, not even a key; `any`: a key of any scope. */
export type RouteScope = Scope | 'open' | 'any';

/** Who asks. Without keys there is one client, who may do everything and can only come from this machine. */
export interface Client {
  /** What jobs, runs and remembered answers belong to. A key made again under an old name has another. */
  readonly id: string;
  /** For people: in logs and messages. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}

/** The id of the client of a service without keys; those of keys are of another form. */
export const LOCAL_ID = 'local';

/** A new key, 256 random bits: nothing to guess, so one round of SHA-256 keeps it safe at rest. */
export const newKey = (): string => `qa_${randomBytes(32).toString('base64url')}`;
export const newKeyId = (): string => `key_${randomBytes(12).toString('hex')}`;
export const hashKey = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Whose jobs and runs a client sees: its own; undefined, everybody's, for admin. */
export const visibleOwner = ({ id, scopes }: Client): string | undefined => (scopes.includes('admin') ? undefined : id);

/** What another client owns does not exist for this one. */
export const isVisible = ({ owner }: { readonly owner: string }, client: Client): boolean =>
  [undefined, owner].includes(visibleOwner(client));
