export interface BridgeLimits {
  /**
   * From the start of the process to its ready: importing torch took over 120 s on a machine with ten processes a core.
   */
  readonly startMs: number;
  /** Without a step of the computation for so long, a worker counts as hung and is killed. */
  readonly stepMs: number;
  /** The same once it has answered its first batch; undefined: `stepMs`. */
  readonly answeringStepMs: number | undefined;
  /** A worker that answers no ping for so long is killed: its whole process stands still. */
  readonly silenceMs: number;
  /** The same once its model is loaded; undefined: `silenceMs`. */
  readonly loadedSilenceMs: number | undefined;
  /** After so long without an answer to a ping a worker gets no more work, until it answers again. */
  readonly quietMs: number;
  readonly pingMs: number;
  /** How long a drained worker may take to say bye. */
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
