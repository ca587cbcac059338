import { existsSync } from 'node:fs';
import { listDatasetSpecs } from '../../config/datasets.js';
import { findLabels } from '../../datasets/registry.js';
import type { DatasetSpec } from '../../datasets/spec.js';
import { QalignError } from '../../base/errors.js';

/** A data set of configs/datasets and the label files it needs. */
export interface DatasetListing {
  /** Name for `convertDataset`. */
  name: string;
  /** Other names of it. */
  aliases: string[];
  /** Name as its authors write it. */
  title: string;
  /** Year, size and scale. */
  version: string;
  /** Kind of the rated files: image or video. */
  kind: DatasetSpec['kind'];
  /** The question of the study: quality or aesthetics. */
  task: DatasetSpec['task'];
  /** Licence of labels and media. */
  licence: string;
  /** Publication. */
  citation: string;
  /** The sources of labels and their files, best first. */
  sources: { name: string; about?: string; files: string[] }[];
  /** Only with a folder of labels: the source that would be read from it; null if no source is complete. */
  found?: string | null;
}

/**
 * Lists the data sets of configs/datasets.
 * @param labels folder in which to look for label files
 * @throws QalignError DATASET_NOT_FOUND if that folder does not exist
 * @example
 * ```ts
 * for (const { name, title, found } of await listDatasets('labels')) console.log(name, title, found);
 * ```
 */
export async function listDatasets(labels?: string): Promise<DatasetListing[]> {
  if (labels !== undefined && !existsSync(labels))
    throw new QalignError('DATASET_NOT_FOUND', `The folder ${labels} does not exist; name a folder of label files.`);
  return (await listDatasetSpecs()).map((spec) => ({
    name: spec.name,
    aliases: spec.aliases ?? [],
    title: spec.title,
    version: spec.version,
    kind: spec.kind,
    task: spec.task,
    licence: spec.licence,
    citation: spec.citation,
    sources: spec.sources.map(({ name, about, files }) => ({
      name,
      ...(about === undefined ? {} : { about }),
      files: files.map(({ file }) => file),
    })),
    ...(labels === undefined ? {} : { found: sourceIn(spec, labels) }),
  }));
}

function sourceIn(spec: DatasetSpec, labels: string): string | null {
  try {
    return findLabels(spec, labels).source;
  } catch (error) {
    if (error instanceof QalignError && error.code === 'DATASET_NOT_FOUND') return null;
    throw error;
  }
}
