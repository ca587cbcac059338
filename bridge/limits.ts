export interface BridgeLimits {
  /**
   * Time from the start of the process to its `ready`. Importing torch took over 120 s on a machine with ten processes
   * per core.
   */
  readonly startMs: number;
  /** A worker whose computation makes no step for this time counts as hung and is killed. */
  readonly stepMs: number;
  /** The limit of a step after the first answered batch. Default: `stepMs`. */
  readonly answeringStepMs: number | undefined;
  /** A worker that answers no ping for this time is killed, because its whole process is stuck. */
  readonly silenceMs: number;
  /** The limit of silence after the model is loaded. Default: `silenceMs`. */
  readonly loadedSilenceMs: number | undefined;
  /** A worker that answers no ping for this time gets no more work until it answers again. */
  readonly quietMs: number;
  readonly pingMs: number;
  /** Time in which a drained worker must send `bye`. */
  readonly drainMs: number;
}

export const DEFAULT_BRIDGE_LIMITS: BridgeLimits = {
  startMs: 300_000,
  stepMs: 300_000,
  answeringStepMs: undefined,
  silenceMs: 300_000,
  loadedSilenceMs: 30_000,
  quietMs: 10_000,
  pingMs: 1_000,
  drainMs: 5_000,
};
