/** What a second Ctrl-C or SIGTERM does: it ends the process at once, unless a command waits for it. */
let waiting: (() => void) | undefined;

/** Waits for a second signal for `ms` milliseconds. Returns whether it came. */
export function onSecondSignal(ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (came: boolean): void => {
      clearTimeout(timer);
      waiting = undefined;
      resolve(came);
    };
    const timer = setTimeout(() => end(false), ms);
    waiting = () => end(true);
  });
}

/** Hands a second signal to the command that waits for it. Returns false if none does. */
export function takeSecondSignal(): boolean {
  const take = waiting;
  take?.();
  return take !== undefined;
}
