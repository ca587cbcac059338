import { idOf } from './ids.js';

/** A brighter picture than EXAMPLE_PICTURE (media/probe-picture). */
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
