import type { Logger } from '../../base/logger.js';

/** Options of all tables. `TableEntry.needs` lists the required ones of a table. */
export interface ReproduceOptions {
  /**
   * Folder of published label files.
   * @default none
   */
  readonly labels?: string | undefined;
  /**
   * Folder of records, `<dataset>/<split>.jsonl`.
   * @default 'data'
   */
  readonly data?: string | undefined;
  /**
   * A name of configs/models, a directory or a hub id.
   * @default the model that comes with qalign
   */
  readonly model?: string | undefined;
  /**
   * `auto`, `cpu`, `cuda:N` or several.
   * @default 'auto'
   */
  readonly device?: string | undefined;
  /**
   * Maximum number of failed items per data set. Missing media are not counted.
   * @default 0
   */
  readonly allowFailures?: number | undefined;
  /**
   * Folder of local pictures and clips, for machines without the data sets of the paper.
   * @default none
   */
  readonly media?: string | undefined;
  /**
   * Output folder of predictions and reports.
   * @default 'reproduced/<table>'
   */
  readonly out?: string | undefined;
  /**
   * Command line that is printed in the reports.
   * @default none
   */
  readonly command?: string | undefined;
  /**
   * Takes log lines.
   * @default silentLogger
   */
  readonly log?: Logger | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Called with a description of the current step. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

export type ReproducedRow = Readonly<Record<string, string | number | null>>;

/** A reproduced table, with our figures beside the published ones. */
export interface ReproducedTable {
  /** Title of the table. */
  readonly title: string;
  /** Rows with our figures and those of the paper. */
  readonly rows: readonly ReproducedRow[];
  /** Notes for readers, such as missing rows with the reason and incomplete sets. */
  readonly notes: readonly string[];
  /** Plots and pictures for the HTML page. */
  readonly sections?: readonly string[];
  /** True if a requested model failed. A note has the reason, and the other rows are complete. */
  readonly modelFailed?: boolean;
}

/** The tables with checkpoints and test sets. */
export type GridName = 'table3' | 'table4' | 'table5' | 'table6' | 'table7';
