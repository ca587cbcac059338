import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { wholeLines } from '../base/files/lines.js';
import { createCurve, type Curve, type CurveColumns } from '../report/curve.js';

/** Values of a step event, and those of an evaluation event. */
const OF_STEP = ['loss', 'learning_rate', 'grad_norm', 'images_per_s', 'mfu'] as const;
const OF_EVALUATION = ['srcc', 'plcc'] as const;
const NAMES = [...OF_STEP, ...OF_EVALUATION];
type Name = (typeof NAMES)[number];

export interface RunCurves {
  readonly curves: Readonly<Record<Name, CurveColumns>>;
  /** Number of the last line in the curves, from 1. */
  readonly last_event_id: number;
}

/** What was read of one event file. */
interface Read {
  readonly curves: Readonly<Record<Name, Curve>>;
  lines: number;
  /** Offset in bytes after the last line. */
  end: number;
  inode: number;
}

/** Number of files whose curves stay in memory: about 100 kB each. */
const MOST_KEPT = 32;

/** Reads the curves of event files. Each line of a growing file is read once. */
export interface CurveReader {
  /**
   * @param file `events.jsonl` of a training; a missing file has empty curves
   * @param points maximum number of points of a curve
   */
  read(file: string, points: number): Promise<RunCurves>;
}

export function createCurveReader(): CurveReader {
  const kept = new Map<string, Read>();
  const turns = new Map<string, Promise<unknown>>();
  return {
    read(file, points) {
      const key = `${points} ${file}`;
      const next = (turns.get(key) ?? Promise.resolve()).then(async () => {
        const now = await continued(file, points, kept.get(key));
        kept.delete(key);
        kept.set(key, now);
        for (const old of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(old);
        return answerOf(now);
      });
      const settled = next.catch(() => undefined);
      turns.set(key, settled);
      void settled.then(() => turns.get(key) === settled && turns.delete(key));
      return next;
    },
  };
}

const answerOf = ({ curves, lines }: Read): RunCurves => ({
  curves: Object.fromEntries(NAMES.map((name) => [name, curves[name].columns()])) as RunCurves['curves'],
  last_event_id: lines,
});

async function continued(file: string, points: number, known: Read | undefined): Promise<Read> {
  const found = await stat(file).catch(() => undefined);
  const isSame = known !== undefined && found?.ino === known.inode && found.size >= known.end;
  const read = isSame ? known : fresh(points, found?.ino ?? 0);
  if (found === undefined || found.size === read.end) return read;
  const from = read.end;
  for await (const { text, end } of wholeLines(createReadStream(file, { start: from, highWaterMark: 1 << 20 }))) {
    read.lines += 1;
    read.end = from + end;
    addEvent(read.curves, text);
  }
  return read;
}

const fresh = (points: number, inode: number): Read => ({
  curves: Object.fromEntries(NAMES.map((name) => [name, createCurve(points)])) as unknown as Read['curves'],
  lines: 0,
  end: 0,
  inode,
});

/** Adds the values of a line. Other events, and a line that a kill cut off, have none. */
function addEvent(curves: Read['curves'], text: string): void {
  let event: Readonly<Record<string, unknown>>;
  try {
    event = JSON.parse(text) as typeof event;
  } catch {
    return;
  }
  const { event: kind, step } = event;
  if (typeof step !== 'number') return;
  for (const name of kind === 'step' ? OF_STEP : kind === 'evaluation' ? OF_EVALUATION : []) {
    const value = event[name];
    if (typeof value === 'number') curves[name].push(step, value);
  }
}
