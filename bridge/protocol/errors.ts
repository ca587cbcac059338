/**
 * Origin of an error.
 *
 * - `worker`: raised by Python and sent over the bridge.
 * - `bridge`: raised by Node, about a worker.
 * - `config`, `dataset` and `media`: caused by the input of the user.
 * - `service`: raised by the HTTP API.
 */
export type ErrorFamily = 'worker' | 'bridge' | 'config' | 'dataset' | 'media' | 'service';

export interface ErrorRow {
  readonly family: ErrorFamily;
  /** Status of the HTTP response. */
  readonly httpStatus: number;
  /** The same request can succeed if it is sent again unchanged. */
  readonly retryable: boolean;
  readonly sentence: string;
}

const row = (family: ErrorFamily, httpStatus: number, retryable: boolean, sentence: string): ErrorRow => ({
  family,
  httpStatus,
  retryable,
  sentence,
});

/**
 * All error codes. `npm run generate` writes the same table for Python (`qalign/protocol.py`) and docs/reference.
 */
export const ERROR_CODES = {
  // worker: raised in Python and sent over the wire
  INVALID_REQUEST: row('worker', 422, false, 'The request does not match the schema of its method.'),
  UNKNOWN_METHOD: row('worker', 422, false, 'The worker does not know this method.'),
  OUT_OF_MEMORY: row('worker', 503, true, 'The device ran out of memory on a batch of one item.'),
  NON_FINITE: row('worker', 500, false, 'The model produced NaN or infinity.'),
  MODEL_NOT_FOUND: row(
    'worker',
    404,
    false,
    'The model is neither a local directory nor a model in the hub or its cache.',
  ),
  MODEL_INVALID: row('worker', 422, false, 'The checkpoint does not fit its configuration.'),
  MODEL_DOWNLOAD_FAILED: row('worker', 502, true, 'The model could not be downloaded.'),
  MODEL_NOT_LOADED: row('worker', 409, false, 'The worker got a request before a model was loaded.'),
  DEVICE_UNAVAILABLE: row('worker', 503, false, 'The named device does not exist on this host.'),
  DEVICE_FAILED: row('worker', 503, true, 'The device failed, and only a new process can use it again.'),
  CLIP_UNKNOWN: row('worker', 409, true, 'The worker does not have these frames of the clip.'),
  CANCELLED: row('worker', 499, true, 'The request was cancelled.'),
  WORKER_INTERNAL: row('worker', 500, false, 'The worker failed unexpectedly; the log has the traceback.'),
  TRAINING_DIVERGED: row('worker', 500, false, 'The loss or the gradient is not finite, or has exploded.'),
  CHECKPOINT_INVALID: row('worker', 422, false, 'A checkpoint of a training run is damaged.'),
  TRAINING_DATA_INVALID: row('worker', 422, false, 'The prepared training data cannot be used for training.'),
  TRAINING_EXTRA_MISSING: row('worker', 503, false, 'An optional Python package is not installed.'),
  // bridge: raised in TypeScript about a worker
  WORKER_LOST: row('bridge', 503, true, 'The worker died twice before it answered.'),
  WORKER_HUNG: row('bridge', 504, true, 'The worker made no progress within its time limit and was killed.'),
  WORKER_START_FAILED: row('bridge', 503, false, 'The worker did not start.'),
  PROTOCOL_MISMATCH: row('bridge', 500, false, 'Node and the worker use different protocol versions.'),
  PROTOCOL_VIOLATION: row('bridge', 500, true, 'The worker sent a message that does not match the protocol.'),
  BRIDGE_CLOSED: row('bridge', 503, true, 'The bridge was closed before the request was answered.'),
  PYTHON_NOT_FOUND: row('bridge', 503, false, 'No usable Python was found.'),
  PYTHON_SETUP_FAILED: row('bridge', 503, true, 'The managed Python environment could not be created.'),
  // config: the request of the caller
  USAGE: row('config', 400, false, 'The command line is not valid.'),
  CONFIG_INVALID: row('config', 422, false, 'The configuration does not match its schema.'),
  DATA_DIR_IN_USE: row('config', 409, false, 'The data folder is in use by another running service.'),
  CONFIG_NOT_FOUND: row('config', 404, false, 'The named configuration does not exist.'),
  TASK_UNSUPPORTED: row('config', 422, false, 'The model does not support this task.'),
  RESUME_MISMATCH: row('config', 409, false, 'The output file was written with another score_version.'),
  OUTPUT_UNWRITABLE: row('config', 507, false, 'The output could not be written.'),
  PREDICTIONS_DAMAGED: row('config', 422, false, 'A line of a predictions file fails its checksum.'),
  RESULTS_NOT_FOUND: row('config', 404, false, 'The named results, run or evaluation do not exist.'),
  RESULTS_INVALID: row('config', 422, false, 'The file does not hold results of qalign, or a row of it is damaged.'),
  EVALUATION_FAILED: row('config', 422, false, 'More items failed than the evaluation allows.'),
  EVALUATION_NOT_READY: row('config', 404, false, 'The evaluation needs data or models that are not on this machine.'),
  TRAINING_DOES_NOT_FIT: row('config', 422, false, 'The run needs more memory or disk space than is available.'),
  RUN_NOT_FOUND: row('config', 404, false, 'The run does not exist.'),
  RUN_ACTIVE: row('config', 409, false, 'The run is already being trained.'),
  RUN_FAILED: row('config', 500, false, 'The training process ended without completing the run.'),
  RAY_HEAD_FAILED: row('config', 502, true, 'The head of the Ray cluster does not answer, or refuses the request.'),
  RAY_JOB_FAILED: row('config', 500, true, 'The job on the Ray cluster ended before all shards were done.'),
  RAY_NODES_DIFFER: row('config', 409, false, 'The nodes of the Ray cluster have different versions or models.'),
  // dataset: tables of ratings
  DATASET_NOT_FOUND: row('dataset', 404, false, 'The dataset or label file does not exist.'),
  DATASET_UNREADABLE: row('dataset', 422, false, 'The label file does not have the expected format or encoding.'),
  DATASET_COLUMNS: row('dataset', 422, false, 'The label file does not have the expected columns.'),
  DATASET_VALUE: row('dataset', 422, false, 'A rating is missing, not a number or out of range.'),
  DATASET_DUPLICATE: row('dataset', 422, false, 'A picture or clip is rated twice.'),
  DATASET_MEDIA_MISSING: row('dataset', 422, false, 'A rated picture or clip is not in the media folder.'),
  DATASET_EMPTY: row('dataset', 422, false, 'There are no ratings left to convert.'),
  // media: pictures, clips and their sources
  MEDIA_NOT_FOUND: row('media', 404, false, 'The file does not exist.'),
  MEDIA_UNREADABLE: row('media', 422, false, 'The file exists but cannot be read.'),
  MEDIA_UNSUPPORTED: row('media', 415, false, 'The file is neither a picture nor a clip that qalign reads.'),
  MEDIA_CORRUPT: row('media', 422, false, 'The file is damaged.'),
  MEDIA_ENCRYPTED: row('media', 422, false, 'The clip is encrypted.'),
  MEDIA_DOUBTFUL: row('media', 422, false, 'The input has warnings, which strict mode refuses.'),
  MEDIA_TOO_LARGE: row('media', 413, false, 'The file exceeds a limit on bytes, pixels or frames.'),
  MEDIA_TIMEOUT: row('media', 504, true, 'Decoding took longer than the time limit.'),
  MEDIA_URL_FORBIDDEN: row('media', 403, false, 'Fetching this URL is not allowed.'),
  MEDIA_URL_FAILED: row('media', 502, true, 'The URL could not be fetched.'),
  FFMPEG_NOT_FOUND: row('media', 503, false, 'No ffmpeg was found.'),
  FFMPEG_CRASHED: row('media', 500, false, 'ffmpeg crashed.'),
  // shards of a data set, and the storage that holds them
  SHARD_NOT_FOUND: row('dataset', 404, false, 'No shard has this name or matches this pattern.'),
  SHARD_DAMAGED: row('dataset', 422, false, 'A shard is damaged, incomplete or of an unknown form.'),
  SHARD_KEY_MISSING: row('dataset', 422, false, 'A sample of a shard has no key.'),
  STORAGE_FAILED: row('dataset', 502, true, 'The object storage did not answer, also not when asked again.'),
  STORAGE_REFUSED: row('dataset', 403, false, 'The object storage refused the request.'),
  PACKAGE_MISSING: row('config', 503, false, 'An optional package of npm is not installed.'),
  // service: errors of an HTTP request
  MALFORMED: row('service', 400, false, 'The body, a header or a parameter cannot be parsed.'),
  UNAUTHORIZED: row('service', 401, false, 'The API key is missing or unknown.'),
  FORBIDDEN: row(
    'service',
    403,
    false,
    'The API key does not have the scope of this route, or the page or host is not allowed to call it.',
  ),
  PATH_FORBIDDEN: row('service', 403, false, 'The path is outside the served root, or no root is configured.'),
  WEBHOOK_FORBIDDEN: row('service', 403, false, 'The service is not allowed to call the host of the webhook.'),
  ROUTE_NOT_FOUND: row('service', 404, false, 'The route does not exist.'),
  JOB_NOT_FOUND: row('service', 404, false, 'The job does not exist.'),
  JOB_NOT_ENDED: row('service', 409, true, 'The results are available in this format only after the job has ended.'),
  METHOD_NOT_ALLOWED: row('service', 405, false, 'The route does not support this method.'),
  NOT_ACCEPTABLE: row('service', 406, false, 'The answer is not available in a format that the client accepts.'),
  IDEMPOTENCY_CONFLICT: row(
    'service',
    409,
    false,
    'The Idempotency-Key was used for another request, or its first request is still running.',
  ),
  BODY_TOO_LARGE: row('service', 413, false, 'The body exceeds a limit on bytes or items.'),
  BODY_UNSUPPORTED: row('service', 415, false, 'The route does not accept a body of this content type.'),
  RANGE_INVALID: row('service', 416, false, 'The range is not within the results.'),
  BODY_INVALID: row('service', 422, false, 'The body or a parameter does not match its schema.'),
  OVERLOADED: row('service', 429, true, 'The request cannot be answered in time; retry after the time in Retry-After.'),
  RATE_LIMITED: row('service', 429, true, 'The key has sent too many requests; retry after the time in Retry-After.'),
  INTERNAL: row('service', 500, false, 'The service failed unexpectedly; the log has the request id.'),
  NO_WORKER: row('service', 503, true, 'No worker is ready.'),
  SHUTTING_DOWN: row('service', 503, true, 'The service is shutting down.'),
  DEADLINE_EXCEEDED: row('service', 504, true, 'The deadline of the request passed before it was answered.'),
} as const satisfies Record<string, ErrorRow>;

/** A code of the registry. */
// by lookup: editors show its name, not the list of all codes
export type ErrorCode = { [Code in keyof typeof ERROR_CODES]: Code }[keyof typeof ERROR_CODES];
