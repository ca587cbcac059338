export type Lane = 'interactive' | 'bulk';

/** After so many interactive turns in a row a waiting bulk one gets its turn, so that bulk never starves. */
export const AGEING = 8;

/** Interactive before bulk, with ageing: whose turn it is at one place where both lanes wait. */
export class LaneTurns {
  #interactiveInARow = 0;

  /** The lane of the next turn, which counts as taken; undefined where nobody waits. */
  next(waiting: Readonly<Record<Lane, number>>): Lane | undefined {
    const lane = this.#choose(waiting);
    if (lane !== undefined) this.#interactiveInARow = lane === 'interactive' ? this.#interactiveInARow + 1 : 0;
    return lane;
  }

  #choose({ interactive, bulk }: Readonly<Record<Lane, number>>): Lane | undefined {
    if (interactive === 0) return bulk === 0 ? undefined : 'bulk';
    return bulk > 0 && this.#interactiveInARow >= AGEING ? 'bulk' : 'interactive';
  }
}
