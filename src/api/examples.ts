import { idOf } from './ids.js';

/** A brighter picture than EXAMPLE_PICTURE (media/probe-picture). */
export const OTHER_PICTURE =
  'Qk1GAAAAAAAAADYAAAAoAAAAAgAAAAIAAAABABgAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAA+vr6ChTIAAAA8ApaWloAAA==';
/** A clip of two seconds with one grey frame a second: Y4M, 8 × 8 pixels. */
export const EXAMPLE_CLIP = btoa(`YUV4MPEG2 W8 H8 F1:1 Ip A1:1 C420\nFRAME\n${'Z'.repeat(96)}FRAME\n${'P'.repeat(96)}`);
/**
 * The Idempotency-Key of the examples that make something, and what it makes on a service without keys: ids follow from
 * both.
 */
export const EXAMPLE_KEY = 'example-1';
export const EXAMPLE_JOB = idOf('job', `local\n${EXAMPLE_KEY}`);
export const EXAMPLE_TRAIN_RUN = idOf('run', `local\n${EXAMPLE_KEY}`);
export const EXAMPLE_EVALUATION = idOf('eval', `local\n${EXAMPLE_KEY}`);
