/** The lines in the log of a Ray job. Its driver (`python/qalign/ray/`) writes them, one JSON value a line. */
import type { DoneEvent, FailedEvent, WorkerErrorEvent } from '../events.js';

/** The nodes that were checked: name and address → version of qalign, or what is wrong there. */
export interface NodesEvent {
  readonly event: 'nodes';
  readonly nodes: Readonly<Record<string, string>>;
}

/** A worker became ready, was lost, or its place is not used any more. */
export interface RayWorkerEvent {
  readonly event: 'worker';
  readonly state: 'ready' | 'lost' | 'closed';
  /** Number of the place, from 0. */
  readonly place: number;
  readonly node: string | null;
  /** Of a lost or closed one. */
  readonly reason?: string;
  /** Of a ready one. */
  readonly score_version?: string;
  readonly device?: string;
  readonly qalign?: string;
  readonly python?: string;
  readonly torch?: string;
}

/** A shard is given to another worker. */
export interface AgainEvent {
  readonly event: 'again';
  readonly shard: string;
  readonly index: number;
  readonly reason: string;
}

/** A slow shard at the end of the job is given to a second worker; the first commit counts. */
export interface TwiceEvent {
  readonly event: 'twice';
  readonly shard: string;
  readonly index: number;
}

/** Counts of the job, at most every two seconds. */
export interface RayProgressEvent {
  readonly event: 'progress';
  readonly shards: number;
  readonly done: number;
  readonly failed: number;
  /** Shards that were set aside, because they ended three workers. */
  readonly aside: number;
  readonly running: number;
  /** Ready workers, and those that start or wait for a place. */
  readonly workers: number;
  readonly starting: number;
  /** Scored items, including those of the shards at hand. */
  readonly items: number;
  readonly failed_items: number;
}

/** The job ended, and every shard is done or named here. */
export interface EndEvent {
  readonly event: 'end';
  readonly failed: readonly string[];
  readonly aside: readonly string[];
}

export type RayEvent =
  | NodesEvent
  | RayWorkerEvent
  | AgainEvent
  | TwiceEvent
  | RayProgressEvent
  | EndEvent
  | (DoneEvent & { readonly node: string | null })
  | (FailedEvent & { readonly node?: string | null })
  | WorkerErrorEvent;

/** The event of a line of the log, or undefined: Ray writes lines of its own there. */
export function readRayEvent(line: string): RayEvent | undefined {
  if (!line.startsWith('{"event": ')) return undefined;
  try {
    return JSON.parse(line) as RayEvent;
  } catch {
    return undefined; // a line that a killed driver left half written
  }
}
