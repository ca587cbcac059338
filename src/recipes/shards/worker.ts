import { QalignError } from '../../base/errors.js';
import { firstSignal } from '../../base/first-signal.js';
import { wholeLines } from '../../base/files/lines.js';
import type { ShardEvent, ShardLine } from './events.js';
import { errorOf, runShards, type ShardLoop } from './run-shards.js';
import type { ShardRun } from './score-shard.js';

/** The loop of a worker: the model is loaded first, because the driver waits for it. */
export interface WorkerLoop extends Omit<ShardLoop, 'onEvent'> {
  /** Lines of shards. */
  readonly input: AsyncIterable<Uint8Array>;
  write(line: string): Promise<void>;
  /** Loads the model, and says so. */
  ready(): Promise<ShardEvent>;
}

/**
 * Reads shards from `input` and writes events, until the input ends or the signal is aborted. The shard at hand is then
 * dropped and has no result, because the driver can have ended without a word. Returns the exit code.
 */
export async function runShardWorker(
  run: Omit<ShardRun, 'signal'>,
  signal: AbortSignal,
  loop: WorkerLoop,
): Promise<number> {
  const ended = new AbortController();
  const joined = firstSignal(signal, ended.signal);
  const write = (event: ShardEvent): Promise<void> => loop.write(`${JSON.stringify(event)}\n`);
  try {
    const lines = queueOf(shardLines(loop.input), () => ended.abort());
    await write(await loop.ready());
    await runShards(lines, { ...run, signal: joined.signal ?? signal }, { ...loop, onEvent: write });
    return 0;
  } catch (error) {
    if (ended.signal.aborted || signal.aborted) return signal.aborted ? 130 : 0;
    await write({ event: 'error', error: errorOf(error) });
    throw error;
  } finally {
    joined.release();
  }
}

/** @throws QalignError USAGE for a line that names no shard */
async function* shardLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<ShardLine, void, undefined> {
  for await (const { number, text } of wholeLines(input)) if (text.trim() !== '') yield parseLine(text, number);
}

function parseLine(text: string, number: number): ShardLine {
  const wrong = (): QalignError =>
    new QalignError(
      'USAGE',
      `Line ${number} of stdin names no shard; write {"shard": "NAME", "index": 0}, not ${text.slice(0, 100)}.`,
    );
  let value: Partial<ShardLine>;
  try {
    value = JSON.parse(text) as Partial<ShardLine>;
  } catch {
    throw wrong();
  }
  const { shard, index, output } = value ?? {};
  if (typeof shard !== 'string' || shard === '' || !Number.isSafeInteger(index) || (index as number) < 0) throw wrong();
  if (output !== undefined && (typeof output !== 'string' || !isInside(output))) throw wrong();
  return { shard, index: index as number, output };
}

/** Whether a name stays below the output folder. */
const isInside = (name: string): boolean => name.split('/').every((part) => !['', '.', '..'].includes(part));

/** Reads a source as fast as it comes, so that its end is noticed while a shard is being scored. */
async function* queueOf<T>(source: AsyncIterable<T>, onEnd: () => void): AsyncGenerator<T, void, undefined> {
  const held: T[] = [];
  let ended = false;
  const failures: Error[] = [];
  let wake: () => void = () => {};
  void (async () => {
    try {
      for await (const one of source) {
        held.push(one);
        wake();
      }
      onEnd();
    } catch (error) {
      failures.push(error as Error);
    }
    ended = true;
    wake();
  })();
  for (;;) {
    const next = held.shift();
    if (next !== undefined) yield next;
    else if (failures[0] !== undefined) throw failures[0];
    else if (ended) return;
    else await new Promise<void>((resolve) => (wake = resolve));
  }
}
