import { idOf } from '../idempotency.js';

/** A picture of 2 × 2 pixels (BMP): small enough to stand in a document, and it can be scored. */
export const EXAMPLE_PICTURE =
  'Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAzvMYPWKHrNH2G0Bliq/U+Q==';
/** Another one, brighter. */
export const OTHER_PICTURE =
  'Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAA+vr6ChTIAAAA8ApaWloAAA==';
/**
 * The Idempotency-Key of the examples that make something, and what it makes on a service without keys: ids follow from
 * both.
 */
export const EXAMPLE_KEY = 'example-1';
export const EXAMPLE_JOB = idOf('job', `local\n${EXAMPLE_KEY}`);
export const EXAMPLE_TRAIN_RUN = idOf('run', `local\n${EXAMPLE_KEY}`);
export const EXAMPLE_EVALUATION = idOf('eval', `local\n${EXAMPLE_KEY}`);
