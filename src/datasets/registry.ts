// Converts label files to ratings and ratings to records. The maths of levels is in src/scoring.

import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { QalignError } from '../base/errors.js';
import type { Reach } from '../base/files/reach.js';
import type { RatingScan } from './rating.js';
import { openRatings } from './ratings.js';
import type { DatasetSpec, LabelFile } from './spec.js';

export interface FoundFile {
  readonly path: string;
  readonly layout: LabelFile;
}
export interface FoundSource {
  readonly source: string;
  readonly files: readonly FoundFile[];
  /** Split → path of its published list. */
  readonly splitLists: Readonly<Record<string, string>>;
}

/**
 * Finds the label files of a data set in a folder or in its subfolder with the name of the data set. `labels` can also
 * be one file.
 * @param source name of the label source; default: the first source with all its files
 * @param as published name of a renamed file
 * @throws QalignError DATASET_NOT_FOUND with the expected file names
 */
export function findLabels(
  spec: DatasetSpec,
  labels: string,
  { source, as }: { source?: string | undefined; as?: string | undefined } = {},
): FoundSource {
  if (!existsSync(labels))
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `${labels} does not exist; name the folder with the label files of ${spec.title}, or one of them.`,
    );
  if (source !== undefined && !spec.sources.some(({ name }) => name === source)) {
    throw new QalignError(
      'DATASET_NOT_FOUND',
      `${spec.title} has no source "${source}"; its sources are ${spec.sources.map(({ name }) => name).join(', ')}.`,
    );
  }
  if (!statSync(labels).isDirectory()) return oneFile(spec, labels, as, source);
  const folders = [join(labels, spec.name), ...(spec.aliases ?? []).map((alias) => join(labels, alias)), labels];
  for (const candidate of spec.sources.filter(({ name }) => source === undefined || name === source)) {
    for (const folder of folders) {
      const files = candidate.files.map((layout) => ({ path: join(folder, layout.file), layout }));
      const splitLists = Object.fromEntries(
        Object.entries(candidate.split_lists ?? {}).map(([split, file]) => [split, join(folder, file)]),
      );
      if ([...files.map(({ path }) => path), ...Object.values(splitLists)].every((path) => existsSync(path)))
        return { source: candidate.name, files, splitLists };
    }
  }
  const known = spec.sources.map(({ files }) => files.map(({ file }) => file).join(' + ')).join('; or ');
  throw new QalignError(
    'DATASET_NOT_FOUND',
    `${labels} has no label files of ${spec.title}; expected ${known}. Pass a renamed file by its path, with --as and its published name.`,
  );
}

function oneFile(spec: DatasetSpec, path: string, as: string | undefined, source: string | undefined): FoundSource {
  const name = as ?? basename(path);
  for (const candidate of spec.sources.filter((each) => source === undefined || each.name === source)) {
    const layout = candidate.files.find(({ file }) => file === name);
    if (layout !== undefined) return { source: candidate.name, files: [{ path, layout }], splitLists: {} };
  }
  const known = [...new Set(spec.sources.flatMap(({ files }) => files.map(({ file }) => file)))].join(', ');
  throw new QalignError(
    'DATASET_NOT_FOUND',
    `${basename(path)} does not have the name of a label file of ${spec.title}; expected one of ${known}. Name the matching one with --as.`,
  );
}

/**
 * Reads the ratings of all files of a source, in order.
 * @param within allowed location of the opened files; default: anywhere
 */
export async function readSource(spec: DatasetSpec, found: FoundSource, within?: Reach): Promise<RatingScan> {
  const rules = {
    within,
    scale: spec.scale,
    lowerIsBetter: spec.lower_is_better,
    mirror: spec.mirror,
    names: spec.names,
  };
  const scans = await Promise.all(found.files.map(({ path, layout }) => openRatings(path, layout, rules)));
  return async function* () {
    for (const scan of scans) yield* scan();
  };
}
