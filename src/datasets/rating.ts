/** A rated picture or clip from a label file, before the conversion to levels, questions and paths. */
export interface Rating {
  /** Name in the data set, with forward slashes. */
  readonly name: string;
  /**
   * Mean opinion score in the units of the data set. Higher is better; scores for which lower is better are inverted.
   */
  readonly mos: number;
  /**
   * The score with the digits of the source. Undefined for a computed score, which is printed like Python prints
   * doubles.
   */
  readonly digits: string | undefined;
  readonly std: number | undefined;
  readonly split: string;
  /** Reference image of a synthetic set. */
  readonly group: string | undefined;
  readonly file: string;
  readonly row: number;
}

/**
 * Reads the ratings in batches. Each call starts from the beginning, so that the conversion can read them twice without
 * storing them.
 */
export type RatingScan = () => AsyncIterable<readonly Rating[]>;

/** Formats a double like Python's repr, because the published ids have these digits. */
export function pythonDigits(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e16) return `${value}.0`;
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}
