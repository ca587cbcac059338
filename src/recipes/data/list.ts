import { existsSync } from 'node:fs';
import { listDatasetSpecs } from '../../config/datasets.js';
import { findLabels } from '../../datasets/registry.js';
import type { DatasetSpec } from '../../datasets/spec.js';
import { QalignError } from '../../base/errors.js';

/** A described data set and which of its label files are here. */
export interface DatasetListing {
  /** Name for `convertDataset`. */
  name: string;
  /** Other names of it. */
  aliases: string[];
  /** Name as its authors write it. */
  title: string;
  /** Year, size and scale. */
  version: string;
  /** What was rated. */
  kind: DatasetSpec['kind'];
  /** What was asked about. */
  task: DatasetSpec['task'];
  /** Licence of labels and media. */
  licence: string;
  /** Publication. */
  citation: string;
  /** What each source needs, the best first. */
  sources: { name: string; about?: string; files: string[] }[];
  /** With a folder of labels: the source that would be read there; null where none is whole. */
  found?: string | null;
}

/** The data sets described here. @param labels a folder to look for their label files in */
export async function listDatasets(labels?: string): Promise<DatasetListing[]> {
  if (labels !== undefined && !existsSync(labels))
    throw new QalignError('DATASET_NOT_FOUND', `There is no folder ${labels} to look for label files in.`);
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
