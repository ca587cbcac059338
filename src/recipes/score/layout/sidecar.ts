import { readFile, rm } from 'node:fs/promises';
import Type from 'typebox';
import { problemWith } from '../../../../bridge/validate.js';
import { SCHEMA_VERSION, ScoreResultSchema, type ScoreOutcome } from '../../../api/result.js';
import { QalignError } from '../../../base/errors.js';
import { writeWhole } from '../../../base/files/whole-file.js';
import { emptyMeta, withOutcome, type CompactMeta } from './compact.js';
import { reasonOf } from '../../../base/files/reason.js';

const { scale, model, prompt, preprocessing, score_version } = ScoreResultSchema.properties;
const closed = { additionalProperties: false };
/** The file beside compact rows. */
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
          prompt,
          preprocessing,
        },
        closed,
      ),
      { description: 'what all rows of one score_version share, an entry for each' },
    ),
  },
  closed,
);

/** Where what the rows of a compact file share stands: `scores.jsonl` → `scores.jsonl.meta.json`. */
export const sidecarOf = (path: string): string => `${path}.meta.json`;

/** @throws QalignError RESUME_MISMATCH where it is missing or is no such file */
export async function readSidecar(path: string): Promise<CompactMeta> {
  const place = sidecarOf(path);
  const text = await readFile(place, 'utf8').catch((cause: Error) => {
    throw new QalignError(
      'RESUME_MISMATCH',
      `${path} is compact, and ${place}, which holds what its rows share, cannot be read (${reasonOf(cause)}); put that file back beside it, or name another --out.`,
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
    `${place} does not describe compact rows (${problem}); put back the file that was written with ${path}, or name another --out.`,
  );
}

/** The error for a row whose model the sidecar does not have. */
export function foreignSidecar(path: string, version: unknown, { models }: CompactMeta): QalignError {
  const known = models.map(({ v }) => v).join(', ');
  return new QalignError(
    'RESUME_MISMATCH',
    `${sidecarOf(path)} does not belong to ${path}: a row has v = ${String(version)}, and the file beside it describes ${known || 'none'}; put back the one that was written with it, or name another --out.`,
  );
}

export interface Sidecar {
  readonly meta: CompactMeta;
  /** Describes the models of these outcomes where they are new. To be awaited before their rows are written. */
  describe(outcomes: readonly ScoreOutcome[]): Promise<void>;
}

/** @param hasRows whether the file beside it holds rows; what lies beside an empty file is of an earlier one */
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
