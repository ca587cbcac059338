import { LEVELS } from '../../scoring/levels.js';
import { isFailure, type ScoreOutcome } from '../../api/result.js';

export const CSV_COLUMNS = [
  'input',
  'kind',
  'task',
  'score',
  'scale',
  'level',
  ...LEVELS.map((level) => `p_${level}`),
  ...LEVELS.map((level) => `logit_${level}`),
  'level_mass',
  'entropy',
  'std',
  'calibrated_score',
  'frames',
  'model',
  'revision',
  'weights_sha256',
  'precision',
  'device',
  'prompt',
  'score_version',
  'error_code',
  'error_message',
] as const;

/** The header line, without its line end. */
export const CSV_HEADER = CSV_COLUMNS.join(',');

/** One line of RFC 4180, without its line end. Numbers keep all their digits. */
export function csvLine(outcome: ScoreOutcome): string {
  const row: Partial<Record<string, string | number>> = isFailure(outcome)
    ? { input: outcome.input, task: outcome.task, error_code: outcome.error.code, error_message: outcome.error.message }
    : ({
        ...outcome,
        ...Object.fromEntries(
          LEVELS.flatMap((level) => [
            [`p_${level}`, outcome.level_probs[level]],
            [`logit_${level}`, outcome.logits[level]],
          ]),
        ),
        model: outcome.model.id,
        revision: outcome.model.revision,
        weights_sha256: outcome.model.weights_sha256,
        precision: outcome.model.precision,
        device: outcome.model.device,
        prompt: outcome.prompt.name,
      } as unknown as Partial<Record<string, string | number>>);
  return CSV_COLUMNS.map((column) => cell(row[column])).join(',');
}

function cell(value: string | number | undefined): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) || /^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
