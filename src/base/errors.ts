/** The boundary of src/base: general tools; nothing of pictures, scores, models or HTTP. */
/** The error class lives in bridge/, which raises it too and may not import src/. */
export { QalignError } from '../../bridge/qalign-error.js';
export type { ErrorCode, ErrorFamily } from '../../bridge/qalign-error.js';
