import { readFile, rm } from 'node:fs/promises';
import Type from 'typebox';
import { problemWith } from '../../../../bridge/validate.js';
import { SCHEMA_VERSION, ScoreResultSchema, type ScoreOutcome } from '../../../api/result.js';
import { QalignError } from '../../../base/errors.js';
import { writeWhole } from '../../../base/files/whole-file.js';
import { emptyMeta, withOutcome, type CompactMeta } from './compact.js';
import { reasonOf } from '../../../base/files/reason.js';

const { task, kind, frames, scale, model, prompt, preprocessing, score_version } = ScoreResultSchema.properties;
const closed = { additionalProperties: false };
/** The sidecar file of compact rows. */
export const MetaSchema = Type.Object(
  {
    format: Type.Literal('qalign-compact/1', { description: 'kind and version of this file' }),
    schema_version: Type.Literal(SCHEMA_VERSION, { description: 'version of the fields of a row' }),
    levels: Type.Array(Type.String(), { description: 'order of level_probs and logits in rows of JSON' }),
    defaults: Type.Record(Type.String(), Type.Unknown(), {
      description: 'fields that a row of JSON leaves out where they have this value',
    }),
    models: Type.Array(
      Type.Object(
        {
          v: Type.String({ description: 'first digits of score_version, by which a row names this entry' }),
          score_version,
          scale,
          model,
          prompts: Type.Array(Type.Object({ task, kind, frames, prompt }, closed), {
            description: 'the prompt of each task and kind; of a chat model also of each number of frames',
          }),
          preprocessing,
        },
        closed,
      ),
      { description: 'what all rows of one score_version share, an entry for each' },
    ),
  },
  closed,
);

/** Path of the file with the shared fields of a compact file: `scores.jsonl` → `scores.jsonl.meta.json`. */
export const sidecarOf = (path: string): string => `${path}.meta.json`;

/** @throws QalignError RESUME_MISMATCH if the sidecar is missing or not valid */
export async function readSidecar(path: string): Promise<CompactMeta> {
  const place = sidecarOf(path);
  const text = await readFile(place, 'utf8').catch((cause: Error) => {
    throw new QalignError(
      'RESUME_MISMATCH',
      `${path} is compact, and its sidecar ${place} cannot be read (${reasonOf(cause)}); restore that file, or use another --out.`,
      { cause },
    );
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const problem = problemWith(MetaSchema, value);
  if (problem === undefined) return value as CompactMeta;
  throw new QalignError(
    'RESUME_MISMATCH',
    `${place} is not a valid sidecar (${problem}); restore the file that was written with ${path}, or use another --out.`,
  );
}

/** The error for a row whose `v` is not in the sidecar. */
export function foreignSidecar(path: string, version: unknown, { models }: CompactMeta): QalignError {
  const known = models.map(({ v }) => v).join(', ');
  return new QalignError(
    'RESUME_MISMATCH',
    `${sidecarOf(path)} does not belong to ${path}: a row has v = ${String(version)}, the sidecar has ${known || 'no models'}; restore the sidecar of this file, or use another --out.`,
  );
}

export interface Sidecar {
  readonly meta: CompactMeta;
  /** Adds the models of these outcomes to the sidecar. Await it before writing their rows. */
  describe(outcomes: readonly ScoreOutcome[]): Promise<void>;
}

/** @param hasRows whether the results file has rows; the sidecar of an empty file is stale and is deleted */
export async function openSidecar(path: string, tasks: readonly string[], hasRows: boolean): Promise<Sidecar> {
  const found = hasRows ? await readSidecar(path) : undefined;
  if (found === undefined) await rm(sidecarOf(path), { force: true });
  let meta = found ?? emptyMeta(tasks);
  let isWritten = found !== undefined;
  return {
    get meta() {
      return meta;
    },
    async describe(outcomes) {
      const before = meta;
      meta = outcomes.reduce(withOutcome, meta);
      if (isWritten && meta === before) return;
      await writeWhole(sidecarOf(path), `${JSON.stringify(meta, null, 2)}\n`);
      isWritten = true;
    },
  };
}
