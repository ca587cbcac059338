/** This number of faults within this time sets the device aside. */
const MOST = 3;
const WITHIN_MS = 600_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * Records the faults of one device, in ms of a clock. Three faults in ten minutes set it aside for 30 s. Each further
 * fault doubles the pause, up to ten minutes. The record is reset after a pause and ten minutes without a fault.
 */
export class FaultRecord {
  #times: number[] = [];
  #pauses = 0;
  #quietFrom = -Infinity;

  /** Records a fault. Returns the number of ms for which the device must be set aside, or 0. */
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
