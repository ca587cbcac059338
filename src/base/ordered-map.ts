/**
 * Maps an async sequence with up to `width` calls under way, giving the results in the order of the inputs. The source
 * is read only when there is room and results are given only when asked for, so memory is bounded by `width` however
 * long the sequence and however slow the reader. A rejection of `map` ends the sequence, and so does `signal`, also
 * while the source itself keeps us waiting.
 */
export async function* orderedMap<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  width: number,
  map: (item: T) => Promise<R>,
  signal?: AbortSignal,
): AsyncGenerator<R, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  const window: Promise<R>[] = [];
  let reading: Promise<IteratorResult<T>> | undefined;
  let ended = false;
  const stop = listenFor(signal);
  try {
    for (;;) {
      while (!ended && window.length < width) {
        reading ??= Promise.resolve(iterator.next());
        // while the source is slow, finished results must not wait for the window to fill
        const next = await stop.or(
          window.length === 0 ? reading : Promise.race([reading, (window[0] as Promise<R>).then(() => undefined)]),
        );
        if (next === undefined) break;
        reading = undefined;
        if (next.done === true) ended = true;
        else window.push(quiet(map(next.value)));
      }
      const first = window.shift();
      if (first === undefined) return;
      yield await stop.or(first);
    }
  } finally {
    stop.forget();
    // not awaited: a source that is waiting for its next item answers only after it
    void Promise.resolve(iterator.return?.()).catch(() => {});
    reading?.catch(() => {});
  }
}

/**
 * Waits for one thing at a time or for the end. Not a race against one promise that lasts as long as the sequence: that
 * promise would keep every result that was ever raced against it, 0.8 kB an input.
 */
function listenFor(signal: AbortSignal | undefined): { or<V>(work: Promise<V>): Promise<V>; forget(): void } {
  let fail: (reason: Error) => void = () => {};
  const reason = (): Error => (signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  const onAbort = (): void => fail(reason());
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    or: (work) =>
      new Promise((resolve, reject) => {
        fail = reject;
        work.then(resolve, reject);
        if (signal?.aborted === true) onAbort();
      }),
    forget: () => signal?.removeEventListener('abort', onAbort),
  };
}

/** A promise that may be dropped when the reader stops: its rejection must then not end the process. */
function quiet<R>(promise: Promise<R>): Promise<R> {
  promise.catch(() => {});
  return promise;
}
