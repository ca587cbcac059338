/** So many faults within this time, and the device is set aside. */
const MOST = 3;
const WITHIN_MS = 600_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * The faults of one device, in ms of a clock. Three in ten minutes set it aside for 30 s; each one that follows doubles
 * that, up to ten minutes. Ten minutes without a fault after a pause, and all is forgotten.
 */
export class FaultRecord {
  #times: number[] = [];
  #pauses = 0;
  #quietFrom = -Infinity;

  /** Returns for how long the device is to be set aside, in ms; 0: not at all. */
  note(now: number): number {
    if (now - this.#quietFrom > WITHIN_MS) this.#pauses = 0;
    this.#times = [...this.#times.filter((time) => now - time < WITHIN_MS), now];
    this.#quietFrom = now;
    if (this.#pauses === 0 && this.#times.length < MOST) return 0;
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#pauses++);
    this.#quietFrom = now + pause;
    return pause;
  }
}
