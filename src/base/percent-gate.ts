/** Returns true if a listener should be notified: for a new subject, a new whole percent, or the end. */
export function createPercentGate(): (subject: string, done: number, total: number) => boolean {
  let last: string | undefined;
  return (subject, done, total) => {
    const shown = `${subject} ${done >= total ? 'end' : Math.floor((100 * done) / total)}`;
    const heard = shown !== last;
    last = shown;
    return heard;
  };
}
