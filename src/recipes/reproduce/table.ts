import type { Logger } from '../../base/logger.js';

/** What a table may need. Each table says which of it. */
export interface ReproduceOptions {
  /** Folder of published label files. */
  readonly labels?: string | undefined;
  /** Folder of records, `<dataset>/<split>.jsonl`. */
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
   * So many items of a data set may fail; missing media are counted apart and stop nothing.
   * @default 0
   */
  readonly allowFailures?: number | undefined;
  /** Folder of pictures and clips at hand, for machines without the data sets of the paper. */
  readonly media?: string | undefined;
  /** Where predictions and reports go; `reproduced/<table>` by default. */
  readonly out?: string | undefined;
  /** The command line, for the reports. */
  readonly command?: string | undefined;
  /**
   * Takes log lines.
   * @default silentLogger
   */
  readonly log?: Logger | undefined;
  /** Ends the call early. */
  readonly signal?: AbortSignal | undefined;
  /** Told what is computed. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

export type ReproducedRow = Readonly<Record<string, string | number | null>>;

/** Our figures beside the published ones: `srcc` and `paper_srcc`. */
export interface ReproducedTable {
  /** Title of the table. */
  readonly title: string;
  /** Rows with our figures and those of the paper. */
  readonly rows: readonly ReproducedRow[];
  /** What a reader must know: rows that could not be computed and why, parts of a set. */
  readonly notes: readonly string[];
  /** Plots and pictures for the HTML page. */
  readonly sections?: readonly string[];
  /** A model that was asked for could not be used: the rest is there, and a note says why. */
  readonly modelFailed?: boolean;
}

/** The tables of checkpoints against test sets. */
export type GridName = 'table3' | 'table4' | 'table5' | 'table6' | 'table7';
