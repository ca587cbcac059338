"""GENERATED from bridge/protocol by "npm run generate". Do not edit."""

from typing import Any, Literal, NamedTuple, TypedDict

PROTOCOL_VERSION = 3

METHODS = ("load_model", "unload_model", "inspect_model", "encode", "release", "score", "generate", "train")

LEVELS = ("excellent", "good", "fair", "poor", "bad")
LEVEL_VALUES = (5.0, 4.0, 3.0, 2.0, 1.0)


class ErrorRow(NamedTuple):
    family: str
    http_status: int
    retryable: bool
    sentence: str


ERROR_CODES = {
    "INVALID_REQUEST": ErrorRow("worker", 422, False, "The request does not match the schema of its method."),
    "UNKNOWN_METHOD": ErrorRow("worker", 422, False, "The worker does not know this method."),
    "OUT_OF_MEMORY": ErrorRow("worker", 503, True, "The device ran out of memory on a batch of one item."),
    "NON_FINITE": ErrorRow("worker", 500, False, "The model produced NaN or infinity."),
    "MODEL_NOT_FOUND": ErrorRow("worker", 404, False, "The model is neither a local directory nor a model in the hub or its cache."),
    "MODEL_INVALID": ErrorRow("worker", 422, False, "The checkpoint does not fit its configuration."),
    "MODEL_DOWNLOAD_FAILED": ErrorRow("worker", 502, True, "The model could not be downloaded."),
    "MODEL_NOT_LOADED": ErrorRow("worker", 409, False, "The worker got a request before a model was loaded."),
    "DEVICE_UNAVAILABLE": ErrorRow("worker", 503, False, "The named device does not exist on this host."),
    "DEVICE_FAILED": ErrorRow("worker", 503, True, "The device failed, and only a new process can use it again."),
    "CLIP_UNKNOWN": ErrorRow("worker", 409, True, "The worker does not have these frames of the clip."),
    "CANCELLED": ErrorRow("worker", 499, True, "The request was cancelled."),
    "WORKER_INTERNAL": ErrorRow("worker", 500, False, "The worker failed unexpectedly; the log has the traceback."),
    "TRAINING_DIVERGED": ErrorRow("worker", 500, False, "The loss or the gradient is not finite, or has exploded."),
    "CHECKPOINT_INVALID": ErrorRow("worker", 422, False, "A checkpoint of a training run is damaged."),
    "TRAINING_DATA_INVALID": ErrorRow("worker", 422, False, "The prepared training data cannot be used for training."),
    "TRAINING_EXTRA_MISSING": ErrorRow("worker", 503, False, "An optional Python package is not installed."),
    "WORKER_LOST": ErrorRow("bridge", 503, True, "The worker died twice before it answered."),
    "WORKER_HUNG": ErrorRow("bridge", 504, True, "The worker made no progress within its time limit and was killed."),
    "WORKER_START_FAILED": ErrorRow("bridge", 503, False, "The worker did not start."),
    "PROTOCOL_MISMATCH": ErrorRow("bridge", 500, False, "Node and the worker use different protocol versions."),
    "PROTOCOL_VIOLATION": ErrorRow("bridge", 500, True, "The worker sent a message that does not match the protocol."),
    "BRIDGE_CLOSED": ErrorRow("bridge", 503, True, "The bridge was closed before the request was answered."),
    "PYTHON_NOT_FOUND": ErrorRow("bridge", 503, False, "No usable Python was found."),
    "PYTHON_SETUP_FAILED": ErrorRow("bridge", 503, True, "The managed Python environment could not be created."),
    "USAGE": ErrorRow("config", 400, False, "The command line is not valid."),
    "CONFIG_INVALID": ErrorRow("config", 422, False, "The configuration does not match its schema."),
    "DATA_DIR_IN_USE": ErrorRow("config", 409, False, "The data folder is in use by another running service."),
    "CONFIG_NOT_FOUND": ErrorRow("config", 404, False, "The named configuration does not exist."),
    "TASK_UNSUPPORTED": ErrorRow("config", 422, False, "The model does not support this task."),
    "RESUME_MISMATCH": ErrorRow("config", 409, False, "The output file was written with another score_version."),
    "OUTPUT_UNWRITABLE": ErrorRow("config", 507, False, "The output could not be written."),
    "PREDICTIONS_DAMAGED": ErrorRow("config", 422, False, "A line of a predictions file fails its checksum."),
    "RESULTS_NOT_FOUND": ErrorRow("config", 404, False, "The named results, run or evaluation do not exist."),
    "RESULTS_INVALID": ErrorRow("config", 422, False, "The file does not hold results of qalign, or a row of it is damaged."),
    "EVALUATION_FAILED": ErrorRow("config", 422, False, "More items failed than the evaluation allows."),
    "EVALUATION_NOT_READY": ErrorRow("config", 404, False, "The evaluation needs data or models that are not on this machine."),
    "TRAINING_DOES_NOT_FIT": ErrorRow("config", 422, False, "The run needs more memory or disk space than is available."),
    "RUN_NOT_FOUND": ErrorRow("config", 404, False, "The run does not exist."),
    "RUN_ACTIVE": ErrorRow("config", 409, False, "The run is already being trained."),
    "RUN_FAILED": ErrorRow("config", 500, False, "The training process ended without completing the run."),
    "RAY_HEAD_FAILED": ErrorRow("config", 502, True, "The head of the Ray cluster does not answer, or refuses the request."),
    "RAY_JOB_FAILED": ErrorRow("config", 500, True, "The job on the Ray cluster ended before all shards were done."),
    "RAY_NODES_DIFFER": ErrorRow("config", 409, False, "The nodes of the Ray cluster have different versions or models."),
    "DATASET_NOT_FOUND": ErrorRow("dataset", 404, False, "The dataset or label file does not exist."),
    "DATASET_UNREADABLE": ErrorRow("dataset", 422, False, "The label file does not have the expected format or encoding."),
    "DATASET_COLUMNS": ErrorRow("dataset", 422, False, "The label file does not have the expected columns."),
    "DATASET_VALUE": ErrorRow("dataset", 422, False, "A rating is missing, not a number or out of range."),
    "DATASET_DUPLICATE": ErrorRow("dataset", 422, False, "A picture or clip is rated twice."),
    "DATASET_MEDIA_MISSING": ErrorRow("dataset", 422, False, "A rated picture or clip is not in the media folder."),
    "DATASET_EMPTY": ErrorRow("dataset", 422, False, "There are no ratings left to convert."),
    "MEDIA_NOT_FOUND": ErrorRow("media", 404, False, "The file does not exist."),
    "MEDIA_UNREADABLE": ErrorRow("media", 422, False, "The file exists but cannot be read."),
    "MEDIA_UNSUPPORTED": ErrorRow("media", 415, False, "The file is neither a picture nor a clip that qalign reads."),
    "MEDIA_CORRUPT": ErrorRow("media", 422, False, "The file is damaged."),
    "MEDIA_ENCRYPTED": ErrorRow("media", 422, False, "The clip is encrypted."),
    "MEDIA_DOUBTFUL": ErrorRow("media", 422, False, "The input has warnings, which strict mode refuses."),
    "MEDIA_TOO_LARGE": ErrorRow("media", 413, False, "The file exceeds a limit on bytes, pixels or frames."),
    "MEDIA_TIMEOUT": ErrorRow("media", 504, True, "Decoding took longer than the time limit."),
    "MEDIA_URL_FORBIDDEN": ErrorRow("media", 403, False, "Fetching this URL is not allowed."),
    "MEDIA_URL_FAILED": ErrorRow("media", 502, True, "The URL could not be fetched."),
    "FFMPEG_NOT_FOUND": ErrorRow("media", 503, False, "No ffmpeg was found."),
    "FFMPEG_CRASHED": ErrorRow("media", 500, False, "ffmpeg crashed."),
    "SHARD_NOT_FOUND": ErrorRow("dataset", 404, False, "No shard has this name or matches this pattern."),
    "SHARD_DAMAGED": ErrorRow("dataset", 422, False, "A shard is damaged, incomplete or of an unknown form."),
    "SHARD_KEY_MISSING": ErrorRow("dataset", 422, False, "A sample of a shard has no key."),
    "STORAGE_FAILED": ErrorRow("dataset", 502, True, "The object storage did not answer, also not when asked again."),
    "STORAGE_REFUSED": ErrorRow("dataset", 403, False, "The object storage refused the request."),
    "PACKAGE_MISSING": ErrorRow("config", 503, False, "An optional package of npm is not installed."),
    "MALFORMED": ErrorRow("service", 400, False, "The body, a header or a parameter cannot be parsed."),
    "UNAUTHORIZED": ErrorRow("service", 401, False, "The API key is missing or unknown."),
    "FORBIDDEN": ErrorRow("service", 403, False, "The API key does not have the scope of this route, or the page or host is not allowed to call it."),
    "PATH_FORBIDDEN": ErrorRow("service", 403, False, "The path is outside the served root, or no root is configured."),
    "WEBHOOK_FORBIDDEN": ErrorRow("service", 403, False, "The service is not allowed to call the host of the webhook."),
    "ROUTE_NOT_FOUND": ErrorRow("service", 404, False, "The route does not exist."),
    "JOB_NOT_FOUND": ErrorRow("service", 404, False, "The job does not exist."),
    "JOB_NOT_ENDED": ErrorRow("service", 409, True, "The results are available in this format only after the job has ended."),
    "METHOD_NOT_ALLOWED": ErrorRow("service", 405, False, "The route does not support this method."),
    "NOT_ACCEPTABLE": ErrorRow("service", 406, False, "The answer is not available in a format that the client accepts."),
    "IDEMPOTENCY_CONFLICT": ErrorRow("service", 409, False, "The Idempotency-Key was used for another request, or its first request is still running."),
    "BODY_TOO_LARGE": ErrorRow("service", 413, False, "The body exceeds a limit on bytes or items."),
    "BODY_UNSUPPORTED": ErrorRow("service", 415, False, "The route does not accept a body of this content type."),
    "RANGE_INVALID": ErrorRow("service", 416, False, "The range is not within the results."),
    "BODY_INVALID": ErrorRow("service", 422, False, "The body or a parameter does not match its schema."),
    "OVERLOADED": ErrorRow("service", 429, True, "The request cannot be answered in time; retry after the time in Retry-After."),
    "RATE_LIMITED": ErrorRow("service", 429, True, "The key has sent too many requests; retry after the time in Retry-After."),
    "INTERNAL": ErrorRow("service", 500, False, "The service failed unexpectedly; the log has the request id."),
    "NO_WORKER": ErrorRow("service", 503, True, "No worker is ready."),
    "SHUTTING_DOWN": ErrorRow("service", 503, True, "The service is shutting down."),
    "DEADLINE_EXCEEDED": ErrorRow("service", 504, True, "The deadline of the request passed before it was answered."),
}


class Hello(TypedDict):
    type: Literal["hello"]
    protocol: int
    version: str
    pid: int
    host: str
    device: str
    token: str
    capabilities: list[str]


class Welcome(TypedDict):
    type: Literal["welcome"]
    protocol: int


class Ready(TypedDict):
    type: Literal["ready"]
    credits: int


class Credit(TypedDict):
    type: Literal["credit"]
    credits: int


class Ping(TypedDict):
    type: Literal["ping"]
    seq: int


class PongDeviceMemory(TypedDict):
    allocated_bytes: int
    reserved_bytes: int
    peak_bytes: int
    free_bytes: int
    total_bytes: int


class PongRequired(TypedDict):
    type: Literal["pong"]
    seq: int
    step_age_ms: float | None
    rss_bytes: int


class Pong(PongRequired, total=False):
    device_memory: PongDeviceMemory


class Cancel(TypedDict):
    type: Literal["cancel"]
    id: str


class Drain(TypedDict):
    type: Literal["drain"]


class ByeError(TypedDict):
    code: str
    message: str


class ByeRequired(TypedDict):
    type: Literal["bye"]


class Bye(ByeRequired, total=False):
    error: ByeError


class Log(TypedDict):
    type: Literal["log"]
    level: Literal["debug", "info", "warn", "error"]
    message: str
    fields: dict[str, str | float | bool | None]


class RequestRequired(TypedDict):
    id: str
    method: str
    params: dict[str, Any]


class Request(RequestRequired, total=False):
    traceparent: str


class Progress(TypedDict):
    id: str
    progress: dict[str, Any]


class Result(TypedDict):
    id: str
    result: dict[str, Any]


class FailureError(TypedDict):
    code: str
    message: str


class Failure(TypedDict):
    id: str
    error: FailureError


class LoadModelParamsChatPixelsRequired(TypedDict):
    pass


class LoadModelParamsChatPixels(LoadModelParamsChatPixelsRequired, total=False):
    min: int
    max: int


class LoadModelParamsChatLevelTokens0(TypedDict):
    mode: Literal["alone"]


class LoadModelParamsChatLevelTokens1(TypedDict):
    mode: Literal["ids"]
    ids: dict[str, list[int]]


class LoadModelParamsChatLevelTokens2(TypedDict):
    mode: Literal["sequence"]


class LoadModelParamsChatRequired(TypedDict):
    thinking: Literal[False] | Literal["default"]


class LoadModelParamsChat(LoadModelParamsChatRequired, total=False):
    system: str
    pixels: LoadModelParamsChatPixels
    level_tokens: LoadModelParamsChatLevelTokens0 | LoadModelParamsChatLevelTokens1 | LoadModelParamsChatLevelTokens2


class LoadModelParamsWarmUp(TypedDict):
    prompts: list[list[str]]
    levels: list[str]


class LoadModelParamsRequired(TypedDict):
    model: str
    device: str
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp8", "int8", "nf4"]
    offline: bool


class LoadModelParams(LoadModelParamsRequired, total=False):
    backend: Literal["mplug_owl2", "transformers"]
    chat: LoadModelParamsChat
    revision: str
    base: str
    base_revision: str
    cache_dir: str
    deterministic: bool
    warm_up: LoadModelParamsWarmUp


class LoadModelProgress(TypedDict):
    stage: str
    done: int
    total: int
    unit: str


class LoadModelResultModelPreparation0(TypedDict):
    kind: Literal["smart"]
    multiple: int
    min_pixels: int
    max_pixels: int


class LoadModelResultModelPreparation1(TypedDict):
    kind: Literal["native"]


class LoadModelResultModelRequired(TypedDict):
    id: str
    revision: str
    weights_sha256: str
    precision: str
    device: str
    image_size: int
    views: list[Literal["whole", "native"]]
    parameters: int
    max_positions: int | None


class LoadModelResultModel(LoadModelResultModelRequired, total=False):
    base: str
    family: Literal["qwen2_5_vl", "qwen3_vl", "qwen3_5", "internvl", "llava_onevision", "smolvlm", "gemma3"]
    preparation: LoadModelResultModelPreparation0 | LoadModelResultModelPreparation1
    processor: str
    processing_sha256: str


class LoadModelResultDeviceMemory(TypedDict):
    allocated_bytes: int
    reserved_bytes: int
    peak_bytes: int
    free_bytes: int
    total_bytes: int


class LoadModelResultRequired(TypedDict):
    model: LoadModelResultModel


class LoadModelResult(LoadModelResultRequired, total=False):
    device_memory: LoadModelResultDeviceMemory


class InspectModelParamsChatPixelsRequired(TypedDict):
    pass


class InspectModelParamsChatPixels(InspectModelParamsChatPixelsRequired, total=False):
    min: int
    max: int


class InspectModelParamsChatLevelTokens0(TypedDict):
    mode: Literal["alone"]


class InspectModelParamsChatLevelTokens1(TypedDict):
    mode: Literal["ids"]
    ids: dict[str, list[int]]


class InspectModelParamsChatLevelTokens2(TypedDict):
    mode: Literal["sequence"]


class InspectModelParamsChatRequired(TypedDict):
    thinking: Literal[False] | Literal["default"]


class InspectModelParamsChat(InspectModelParamsChatRequired, total=False):
    system: str
    pixels: InspectModelParamsChatPixels
    level_tokens: InspectModelParamsChatLevelTokens0 | InspectModelParamsChatLevelTokens1 | InspectModelParamsChatLevelTokens2


class InspectModelParamsRequired(TypedDict):
    model: str
    offline: bool


class InspectModelParams(InspectModelParamsRequired, total=False):
    backend: Literal["mplug_owl2", "transformers"]
    chat: InspectModelParamsChat
    revision: str
    cache_dir: str


class InspectModelResult(TypedDict):
    inspection: dict[str, Any]


class EncodeParamsBuffersEntry(TypedDict):
    dtype: Literal["uint8"]
    shape: list[int]


class EncodeParams(TypedDict):
    clip: str
    first: int
    buffers: list[EncodeParamsBuffersEntry]


class EncodeResultTimings(TypedDict):
    compute_ms: float


class EncodeResult(TypedDict):
    frames: int
    timings: EncodeResultTimings


class ReleaseParams(TypedDict):
    clip: str


class ReleaseResult(TypedDict):
    clips: int
    bytes: int


class ScoreParamsItemsEntryVisualsEntry0(TypedDict):
    frames: int


class ScoreParamsItemsEntryVisualsEntry1(TypedDict):
    clip: str
    first: int
    frames: int


class ScoreParamsItemsEntryPromptsEntryRequired(TypedDict):
    text: str


class ScoreParamsItemsEntryPromptsEntry(ScoreParamsItemsEntryPromptsEntryRequired, total=False):
    stem: str
    frames: list[int]


class ScoreParamsItemsEntry(TypedDict):
    id: str
    visuals: list[ScoreParamsItemsEntryVisualsEntry0 | ScoreParamsItemsEntryVisualsEntry1]
    prompts: list[ScoreParamsItemsEntryPromptsEntry]


class ScoreParamsBuffersEntry(TypedDict):
    dtype: Literal["uint8"]
    shape: list[int]


class ScoreParams(TypedDict):
    items: list[ScoreParamsItemsEntry]
    levels: list[str]
    buffers: list[ScoreParamsBuffersEntry]


class ScoreResultItemsEntryPromptsEntryRequired(TypedDict):
    logits: list[float]
    log_sum_exp: float
    positions: int


class ScoreResultItemsEntryPromptsEntry(ScoreResultItemsEntryPromptsEntryRequired, total=False):
    rendered: str
    level_tokens: dict[str, list[int]]


class ScoreResultItemsEntryError(TypedDict):
    code: str
    message: str


class ScoreResultItemsEntryRequired(TypedDict):
    id: str


class ScoreResultItemsEntry(ScoreResultItemsEntryRequired, total=False):
    prompts: list[ScoreResultItemsEntryPromptsEntry]
    error: ScoreResultItemsEntryError


class ScoreResultTimings(TypedDict):
    compute_ms: float


class ScoreResult(TypedDict):
    items: list[ScoreResultItemsEntry]
    timings: ScoreResultTimings


class GenerateParamsItemsEntryVisualsEntry(TypedDict):
    frames: int


class GenerateParamsItemsEntry(TypedDict):
    id: str
    visuals: list[GenerateParamsItemsEntryVisualsEntry]
    prompts: list[str]


class GenerateParamsBuffersEntry(TypedDict):
    dtype: Literal["uint8"]
    shape: list[int]


class GenerateParams(TypedDict):
    items: list[GenerateParamsItemsEntry]
    max_new_tokens: int
    buffers: list[GenerateParamsBuffersEntry]


class GenerateResultItemsEntryPromptsEntry(TypedDict):
    text: str
    tokens: int
    finished: bool


class GenerateResultItemsEntryError(TypedDict):
    code: str
    message: str


class GenerateResultItemsEntryRequired(TypedDict):
    id: str


class GenerateResultItemsEntry(GenerateResultItemsEntryRequired, total=False):
    prompts: list[GenerateResultItemsEntryPromptsEntry]
    error: GenerateResultItemsEntryError


class GenerateResultTimings(TypedDict):
    compute_ms: float


class GenerateResult(TypedDict):
    items: list[GenerateResultItemsEntry]
    timings: GenerateResultTimings


class TrainParams(TypedDict):
    run: str


class TrainProgress0(TypedDict):
    event: Literal["measured"]
    time: float
    done: int
    total: int


class TrainProgress1(TypedDict):
    event: Literal["started"]
    time: float
    step: int
    total_steps: int
    steps_per_epoch: int
    processes: int
    device: str
    parameters: int
    trainable: int
    items: int
    skipped: int


class TrainProgress2(TypedDict):
    event: Literal["resumed"]
    time: float
    step: int
    checkpoint: str


class TrainProgress3Terms(TypedDict):
    next_token: float | None
    soft_label: float | None
    fidelity: float | None
    in_level: float | None
    series: float | None


class TrainProgress3(TypedDict):
    event: Literal["step"]
    time: float
    step: int
    epoch: float
    loss: float | None
    terms: TrainProgress3Terms
    learning_rate: float
    grad_norm: float | None
    images_per_s: float
    mfu: float | None
    memory_bytes: int


class TrainProgress4(TypedDict):
    event: Literal["evaluation"]
    time: float
    step: int
    srcc: float | None
    plcc: float | None
    items: int
    score_std: float | None
    level_mass: float | None


class TrainProgress5(TypedDict):
    event: Literal["checkpoint"]
    time: float
    step: int
    path: str


class TrainProgress6(TypedDict):
    event: Literal["best"]
    time: float
    step: int
    metric: str
    value: float
    path: str


class TrainProgress7(TypedDict):
    event: Literal["checkpoint_failed"]
    time: float
    step: int
    message: str


class TrainProgress8(TypedDict):
    event: Literal["tracker_failed"]
    time: float
    tracker: str
    message: str


class TrainProgress9(TypedDict):
    event: Literal["exported"]
    time: float
    path: str


class TrainProgress10Required(TypedDict):
    event: Literal["end"]
    time: float
    status: Literal["completed"] | Literal["stopped"] | Literal["failed"]


class TrainProgress10(TrainProgress10Required, total=False):
    step: int
    code: str
    message: str


class TrainResult(TypedDict):
    status: Literal["completed", "stopped"]
    step: int


class RunRecipeChatPixelsRequired(TypedDict):
    pass


class RunRecipeChatPixels(RunRecipeChatPixelsRequired, total=False):
    min: int
    max: int


class RunRecipeChatLevelTokens0(TypedDict):
    mode: Literal["alone"]


class RunRecipeChatLevelTokens1(TypedDict):
    mode: Literal["ids"]
    ids: dict[str, list[int]]


class RunRecipeChatLevelTokens2(TypedDict):
    mode: Literal["sequence"]


class RunRecipeChatRequired(TypedDict):
    thinking: Literal[False] | Literal["default"]


class RunRecipeChat(RunRecipeChatRequired, total=False):
    system: str
    pixels: RunRecipeChatPixels
    level_tokens: RunRecipeChatLevelTokens0 | RunRecipeChatLevelTokens1 | RunRecipeChatLevelTokens2


class RunRecipeDataRequired(TypedDict):
    weights: dict[str, float]


class RunRecipeData(RunRecipeDataRequired, total=False):
    leave_out: list[str]


class RunRecipeObjectiveRequired(TypedDict):
    next_token: float
    soft_label: float
    fidelity: float
    in_level: float


class RunRecipeObjective(RunRecipeObjectiveRequired, total=False):
    series: float


class RunRecipeLora(TypedDict):
    r: int
    alpha: float
    dropout: float
    abstractor: bool
    quantise_base: Literal["int8"] | Literal["nf4"] | None


class RunRecipeLearningRatesRequired(TypedDict):
    default: float


class RunRecipeLearningRates(RunRecipeLearningRatesRequired, total=False):
    vision: float
    abstractor: float
    merger: float
    language: float
    lora: float


class RunRecipeAugment(TypedDict):
    flip: bool


class RunRecipeRequired(TypedDict):
    model: str
    model_path: str
    base_path: str | None
    data_path: str
    init: Literal["pretrained"] | Literal["random"]
    encoder_weights: str | None
    data: RunRecipeData
    objective: RunRecipeObjective
    fixed_pair_std: bool
    score_text: bool
    lora: RunRecipeLora | None
    freeze: list[Literal["vision"] | Literal["abstractor"] | Literal["merger"] | Literal["language"]]
    cache_features: bool
    epochs: int
    max_steps: int | None
    batch_size: int
    micro_batch: int
    learning_rates: RunRecipeLearningRates
    schedule: Literal["cosine"] | Literal["one_cycle"] | Literal["constant"]
    warmup: float
    weight_decay: float
    betas: list[float]
    clip: float
    optimizer: Literal["adamw"] | Literal["adamw_8bit"]
    weights: Literal["fp32"] | Literal["bf16"]
    compute: Literal["fp32"] | Literal["bf16"]
    ema: float | None
    recompute: bool | float
    dropout: float
    augment: RunRecipeAugment
    seed: int
    device: Literal["cpu"] | Literal["cuda"]
    save_every: int
    keep_checkpoints: int
    trackers: list[Literal["tensorboard"] | Literal["wandb"] | Literal["mlflow"]]
    skipped: int


class RunRecipe(RunRecipeRequired, total=False):
    backend: Literal["transformers"]
    chat: RunRecipeChat
    train_stages_from: int | None
    export_weights: Literal["fp32"] | Literal["bf16"] | Literal["fp16"] | None
    kernels: Literal["auto"] | Literal["plain"]
    token_dropout: float
    channel_dropout: float
    keep_best: Literal["srcc"] | Literal["plcc"] | None
    keep_unsharded: Literal["nothing"] | Literal["gradients"] | Literal["all"]


class GpuCheckGoalsEntry(TypedDict):
    name: str
    value: float | None
    unit: str
    goal: float
    met: bool | None


class GpuCheckSectionsValueFiguresEntryRequired(TypedDict):
    name: str
    value: float
    unit: str


class GpuCheckSectionsValueFiguresEntry(GpuCheckSectionsValueFiguresEntryRequired, total=False):
    goal: float
    met: bool


class GpuCheckSectionsValueSkippedEntry(TypedDict):
    part: str
    reason: str


class GpuCheckSectionsValueFailedEntry(TypedDict):
    part: str
    error: str
    advice: str


class GpuCheckSectionsValue(TypedDict):
    seconds: float
    figures: list[GpuCheckSectionsValueFiguresEntry]
    skipped: list[GpuCheckSectionsValueSkippedEntry]
    failed: list[GpuCheckSectionsValueFailedEntry]
    details: dict[str, Any]


class GpuCheck(TypedDict):
    kind: Literal["qalign_gpu_check"]
    format: Literal[1]
    qalign: str
    date: str
    architecture: str
    weights: Literal["random"]
    precision: str
    device: str
    device_name: str
    torch: str
    cuda: str | None
    limit_s: float
    seconds: float
    ended: str
    goals: list[GpuCheckGoalsEntry]
    sections: dict[str, GpuCheckSectionsValue]
