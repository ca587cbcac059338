/** Identifies the computation of a row for resuming: its score_version and, if present, its calibration. */
export const rowVersion = (scoreVersion: string, calibration: string | undefined): string =>
  calibration === undefined ? scoreVersion : `${scoreVersion}+${calibration}`;
