import { createHash, randomBytes } from 'node:crypto';

/** Scopes of a key; `admin` includes the others. */
export const SCOPES = ['score', 'jobs', 'train', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** Access that a route requires. `open`: no key; `any`: a key with any scope. */
export type RouteScope = Scope | 'open' | 'any';

/**
 * The client of a request. A service without keys has a single client, which has all scopes and must be on this
 * machine.
 */
export interface Client {
  /** Owner of jobs, runs and stored answers. A key that is created again under an old name gets a new id. */
  readonly id: string;
  /** Shown to people, in logs and messages. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}

/** Client id of a service without keys. Ids of keys have another form. */
export const LOCAL_ID = 'local';

/** A new key of 256 random bits. Guessing is infeasible, so one round of SHA-256 protects the stored hash. */
export const newKey = (): string => `qa_${randomBytes(32).toString('base64url')}`;
export const newKeyId = (): string => `key_${randomBytes(12).toString('hex')}`;
export const hashKey = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Owner whose jobs and runs a client sees: its own id; undefined (all owners) for admin. */
export const visibleOwner = ({ id, scopes }: Client): string | undefined => (scopes.includes('admin') ? undefined : id);

/** Resources of other clients do not exist for this client. */
export const isVisible = ({ owner }: { readonly owner: string }, client: Client): boolean =>
  [undefined, owner].includes(visibleOwner(client));
