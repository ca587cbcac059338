import { open, stat } from 'node:fs/promises';
import { isFailure, type ScoreOutcome, type ScoreResult } from '../../api/result.js';
import { QalignError } from '../../base/errors.js';
import { openWhole } from '../../base/files/whole-file.js';
import { reasonOf } from '../../base/files/reason.js';
import { CURVE_HEADER, curveLines } from '../../report/curve-csv.js';
import { csvText, type CsvOptions } from '../../recipes/score/result-csv.js';
import type { CurveOptions } from '../../recipes/score/curve/frame-curve.js';

/** Frame curves of clips. */
export interface CurveRequest extends CurveOptions {
  /** Frames of each question. */
  readonly window: number;
  /** CSV file with a line for each frame. */
  readonly out: string | undefined;
}

interface Sink {
  write(outcomes: readonly ScoreOutcome[]): Promise<void>;
  close(complete: boolean): Promise<void>;
}

/**
 * Refuses to replace a file that is not a file of curves, such as an input that was named by mistake.
 * @throws QalignError OUTPUT_UNWRITABLE
 */
export async function requireReplaceable(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size === 0) return;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CURVE_HEADER.length), 0, CURVE_HEADER.length, 0);
    if (buffer.toString('latin1', 0, bytesRead) === CURVE_HEADER) return;
  } finally {
    await file.close();
  }
  throw new QalignError(
    'OUTPUT_UNWRITABLE',
    `${path} exists and is not a file of frame curves; use another --per-frame-csv.`,
  );
}

/** Also writes the frame curves of a sink to a CSV file, which appears when the run is complete. */
export async function withCurveFile<S extends Sink>(sink: S, path: string, csv: CsvOptions): Promise<S> {
  const file = await openWhole(path, {
    sentence: (error) => `The frame curves ${path} cannot be written (${reasonOf(error)}); name another file.`,
  });
  const linesOf = (result: ScoreResult): string[] => curveLines({ ...result, input: csvText(result.input, csv) });
  await file.write(`${CURVE_HEADER}\n`);
  return {
    ...sink,
    async write(outcomes) {
      await sink.write(outcomes);
      const lines = outcomes.flatMap((outcome) => (isFailure(outcome) ? [] : linesOf(outcome)));
      if (lines.length > 0) await file.write(`${lines.join('\n')}\n`);
    },
    async close(complete) {
      try {
        await sink.close(complete);
        if (complete) await file.commit();
      } finally {
        await file.discard();
      }
    },
  };
}
