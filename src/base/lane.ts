/** Priority of an input: interactive inputs go before bulk inputs. */
export type Lane = 'interactive' | 'bulk';

/** Number of interactive turns in a row after which a waiting bulk caller gets a turn, so that bulk never starves. */
export const AGEING = 8;

/** Chooses between two waiting lanes: interactive before bulk, with ageing. */
export class LaneTurns {
  #interactiveInARow = 0;

  /** Returns the lane of the next turn and counts the turn. Returns undefined if no caller waits. */
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
