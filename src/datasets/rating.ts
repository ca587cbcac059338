/** One rated picture or clip, as a label file says it: before levels, questions and paths. */
export interface Rating {
  /** Name in the data set, with forward slashes. */
  readonly name: string;
  /** Higher is better, in the units of the data set (labels where lower is better are inverted). */
  readonly mos: number;
  /** The score with the source's own digits; undefined where it was computed: then as Python prints the double. */
  readonly digits: string | undefined;
  readonly std: number | undefined;
  readonly split: string;
  /** Reference image of a synthetic set. */
  readonly group: string | undefined;
  readonly file: string;
  readonly row: number;
}

/** Ratings in batches, from the start at every call: conversion reads them twice and holds none. */
export type RatingScan = () => AsyncIterable<readonly Rating[]>;

/** A double as Python's repr writes it: the published ids carry these digits. */
export function pythonDigits(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}
