import { LEVELS, LEVEL_VALUES as MOS_OF_LEVELS } from '../../bridge/protocol/levels.js';

export { LEVELS };
/** One of the five rating levels: excellent, good, fair, poor, bad. */
export type Level = (typeof LEVELS)[number];

/** A number for every level. */
export type ByLevel = Record<Level, number>;

/** The scales of a score. `mos5` is the scale of the paper, 1 to 5. */
export const SCALES = ['mos5', 'unit', 'percent'] as const;
/** The scale of a score: `mos5` 1 to 5, `unit` 0 to 1, `percent` 0 to 100. */
export type Scale = (typeof SCALES)[number];

/** The value of each level on each scale, in the order of LEVELS: the evenly spaced weights of Eq. 4. */
export const LEVEL_VALUES: Readonly<Record<Scale, readonly [number, number, number, number, number]>> = {
  mos5: MOS_OF_LEVELS,
  unit: [1, 0.75, 0.5, 0.25, 0],
  percent: [100, 75, 50, 25, 0],
};

/** Names five numbers given in the order of LEVELS. */
export function byLevel(values: readonly number[]): ByLevel {
  const [excellent, good, fair, poor, bad] = values;
  if (
    values.length !== LEVELS.length ||
    excellent === undefined ||
    good === undefined ||
    fair === undefined ||
    poor === undefined ||
    bad === undefined
  ) {
    throw new RangeError(`five numbers in the order of ${LEVELS.join(', ')} are needed, not ${values.length}`);
  }
  return { excellent, good, fair, poor, bad };
}
