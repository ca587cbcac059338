/** src/base holds general tools. Nothing here knows about pictures, scores, models or HTTP. */
/** The error class is in bridge/ because bridge/ raises it and must not import src/. */
export { QalignError } from '../../bridge/qalign-error.js';
export type { ErrorCode, ErrorFamily } from '../../bridge/qalign-error.js';
