/** What the numbers of a row depend on: how the score was made, and the calibration beside it. For resuming. */
export const rowVersion = (scoreVersion: string, calibration: string | undefined): string =>
  calibration === undefined ? scoreVersion : `${scoreVersion}+${calibration}`;
