/** An environment variable that a user can set. */
export interface Variable {
  readonly name: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** All variables of qalign, followed by variables of other projects that it uses. A test finds missing ones. */
export const ENVIRONMENT: readonly Variable[] = [
  {
    name: 'QALIGN_SERVE_KEY',
    fallback: '',
    meaning:
      'A key of the service, in capitals. Two underscores replace a dot: `QALIGN_SERVE_LIMITS__ITEMS=8` is `limits.items=8`. A variable for an unknown key is an error.',
  },
  {
    name: 'QALIGN_API_KEY',
    fallback: '',
    meaning: 'An API key of the service with the scopes score and jobs, at least 16 printable ASCII characters.',
  },
  { name: 'QALIGN_API_KEY_FILE', fallback: '', meaning: 'A file with this key, such as a mounted secret.' },
  {
    name: 'QALIGN_PYTHON',
    fallback: 'the managed environment',
    meaning: 'Your own Python interpreter, with the packages of `python/requirements.lock`.',
  },
  {
    name: 'QALIGN_CACHE',
    fallback: '`$XDG_CACHE_HOME/qalign`, else `~/.cache/qalign`',
    meaning: 'The folder of the managed Python environment and of digests of weights.',
  },
  { name: 'QALIGN_RUNS', fallback: '`runs`', meaning: 'The folder of training runs.' },
  {
    name: 'QALIGN_LOG',
    fallback: '`warn`',
    meaning: 'Log level of commands: `debug` (with every message of the bridge), `info`, `warn` or `error`.',
  },
  {
    name: 'QALIGN_ATTENTION',
    fallback: '`auto`',
    meaning:
      'The attention kernel of a worker on CUDA: `varlen`, `flash`, `efficient`, `cudnn` or `math`. `auto` never selects cuDNN, which prepares every new shape for up to a second.',
  },
  { name: 'FFMPEG_BIN', fallback: 'the newer of `PATH` and ffmpeg-static', meaning: 'The ffmpeg that decodes clips.' },
  { name: 'FFPROBE_BIN', fallback: 'from `PATH`', meaning: 'The ffprobe that inspects clips.' },
  {
    name: 'HF_HUB_CACHE, HF_HOME',
    fallback: '`~/.cache/huggingface`',
    meaning: 'The folder of downloaded models, as huggingface_hub uses it.',
  },
  { name: 'HF_TOKEN', fallback: '', meaning: 'Your token for private models of the hub.' },
  { name: 'RAY_AUTH_TOKEN', fallback: '', meaning: 'The token of a Ray cluster, for `--ray`.' },
  { name: 'RAY_AUTH_TOKEN_PATH', fallback: '', meaning: 'A file with this token, if `RAY_AUTH_TOKEN` is not set.' },
  { name: 'HF_ENDPOINT', fallback: '`https://huggingface.co`', meaning: 'Another hub, such as a mirror.' },
  { name: 'HF_HUB_OFFLINE', fallback: '', meaning: '`1`: the hub is not accessed; models are read from its cache.' },
  { name: 'HTTPS_PROXY', fallback: '', meaning: 'A proxy for downloads of models and Python packages.' },
  {
    name: 'CUDA_VISIBLE_DEVICES',
    fallback: 'all GPUs',
    meaning: 'The GPUs that workers and trainings can use.',
  },
  {
    name: 'NO_COLOR, FORCE_COLOR',
    fallback: 'colours on a terminal',
    meaning: 'Output without or with colours. `--color` has precedence.',
  },
  {
    name: 'WANDB_PROJECT, WANDB_API_KEY, WANDB_MODE',
    fallback: 'project `qalign`',
    meaning: 'Read by the tracker `wandb`.',
  },
  {
    name: 'MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME',
    fallback: '`mlflow.db` in the folder of runs, `qalign`',
    meaning: 'Read by the tracker `mlflow`.',
  },
];

/** Set by qalign for processes that it starts itself. */
export const INTERNAL = [
  'QALIGN_BRIDGE',
  'QALIGN_BRIDGE_IDENTITY',
  'QALIGN_BRIDGE_TOKEN',
  'QALIGN_HELD',
  'QALIGN_PARENT_PID',
];
