import { join } from 'node:path';
import type { StoredEvaluation } from '../../recipes/evaluate/stored.js';
import { createCurveReader, type CurveReader } from '../../runs/run-curves.js';
import type { Caller } from '../http/caller.js';
import { readReach } from '../http/path-root.js';
import type { Redactor } from '../http/redact-paths.js';
import { mediaLimits } from '../score/request-source.js';
import { findServiceRun, type RunServices } from './requests.js';

/** The files of trainings and evaluations that routes show, of a service or of "qalign view". */
export interface StoredRuns extends Redactor {
  readonly curves: CurveReader;
  /** The event file of a training. @throws QalignError RUN_NOT_FOUND, also for a run that the caller cannot see */
  eventsFile(call: Caller<{ id: string }>): string;
  /** The files of an evaluation. @throws QalignError RUN_NOT_FOUND */
  evaluation(call: Caller<{ id: string }>): Promise<StoredEvaluation>;
}

/** The trainings and evaluations of a service, each for its key. */
export function createStoredRuns(services: RunServices): StoredRuns {
  const { config, places, runQueue, redact, redactError } = services;
  const folderOf = (call: Caller<{ id: string }>): string => runQueue.folder(findServiceRun(call, services).id);
  return {
    redact,
    redactError,
    curves: createCurveReader(),
    eventsFile: (call) => join(folderOf(call), 'events.jsonl'),
    evaluation: async (call) => ({
      folder: folderOf(call),
      limits: { ...mediaLimits(config), within: await readReach(places) },
    }),
  };
}
