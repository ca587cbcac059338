import { Type, type Static } from 'typebox';
import { RunRecipe } from '../../bridge/protocol/recipe.js';
import { DEFAULT_MODEL } from './models.js';

const closed = { additionalProperties: false } as const;
const count = (fallback: number, description: string) => Type.Integer({ minimum: 1, default: fallback, description });

/** `configs/serve.yaml`: the HTTP service. */
export const ServeConfig = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      description: 'address to listen on; any but a loopback address needs an API key first ("qalign keys create")',
    }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8080,
      description: 'port to listen on; 0: any free port, which the log names',
    }),
    health_port: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Null()], {
      default: null,
      description:
        'port of a second listener for /healthz, /readyz and /metrics, which answers while the first has no connection left; 0: any free port; null: none',
    }),
    health_host: Type.String({
      default: '127.0.0.1',
      description: 'address of the second listener; /metrics needs a key there unless it is a loopback address',
    }),
    data_dir: Type.String({
      minLength: 1,
      default: 'runs/service',
      description: 'folder of API keys, jobs with their results, and uploads',
    }),
    models: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: [DEFAULT_MODEL],
      description: 'models that are loaded at the start; the first is used when a request names none',
    }),
    most_models: count(2, 'maximum number of loaded models'),
    device: Type.String({ default: 'auto', description: 'auto, cpu, cuda:N, or several (0,1): one worker each' }),
    precision: Type.Union([Type.Literal('auto'), Type.Literal('fp32'), Type.Literal('bf16'), Type.Literal('fp16')], {
      default: 'auto',
      description: 'auto: fp32 on a CPU, bf16 on CUDA',
    }),
    max_batch_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description: 'maximum number of pictures or frames in one batch; null: 16 on a CPU, 64 on CUDA',
    }),
    offline: Type.Boolean({
      default: false,
      description: 'do not use the network, and install no packages',
    }),
    root: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'folder whose files requests may name, except those below data_dir and runs_dir; null: no files',
    }),
    runs_dir: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'folder of training runs; null: QALIGN_RUNS or runs',
    }),
    trackers: Type.Array(RunRecipe.properties.trackers.items, {
      default: [],
      description: 'trackers that a training may send its metrics to',
    }),
    most_processes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description: 'maximum number of processes of one training; null: the number of GPUs, or of cores without a GPU',
    }),
    allow_urls: Type.Boolean({ default: false, description: 'fetch inputs that are http(s) URLs of public addresses' }),
    cors_origins: Type.Array(Type.String({ pattern: '^https?://[^/*\\s]+$' }), {
      default: [],
      description:
        'origins whose pages may call the service (https://tools.example.org); they need a key where there are keys',
    }),
    limits: Type.Object(
      {
        items: count(64, 'maximum number of items of one request'),
        body_mb: count(32, 'largest JSON body in MiB'),
        upload_mb: count(512, 'largest uploaded file in MiB'),
        memory_mb: count(256, 'memory in MiB for all uploads; above it they go to disk'),
        key_memory_mb: count(128, 'part of memory_mb that the requests of one key may hold'),
        manifest_mb: count(1024, 'largest list of a job in MiB'),
        pixels: count(178_956_970, 'maximum number of pixels of a picture'),
        decode_mb: count(
          2048,
          'memory in MiB for decoding pictures, of all threads and models; pictures wait for free memory. 2048 hold 20 JPEGs or PNGs of 24 megapixels at a time, or two of 178; progressive and interlaced files take twice as much',
        ),
        frame_pixels: count(9_437_184, 'maximum number of pixels of a frame of a clip; the default is 4096 × 2304'),
        ffmpeg_mb: count(
          2048,
          'memory in MiB for each ffmpeg process, of which a model runs two; Linux only. Frames of 8 megapixels take 0.4 GB, of 67 megapixels 1.6 GB',
        ),
        frames: count(
          600,
          'maximum number of frames of a clip, one per second; two clips at a time are held in memory, 600 kB per frame',
        ),
        decode_ms: count(60_000, 'time limit in ms for decoding one picture or clip'),
        connections: count(2048, 'maximum number of open connections'),
        address_connections: count(
          1024,
          'maximum number of open connections of one address (IPv6: of one /64 network)',
        ),
      },
      { ...closed, default: {}, description: 'limits on requests and their media' },
    ),
    request_ms: count(
      30_000,
      'time limit of a request in ms; a later answer is 504. A request can ask for less with timeout_ms',
    ),
    step_ms: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description:
        'time in ms after which a worker without progress is killed and replaced; null: twice request_ms, or four times the time of its largest batch',
    }),
    deterministic: Type.Boolean({
      default: false,
      description:
        'compute each item alone, so that its score has the same bytes in every run; slower on a GPU when many items wait',
    }),
    shutdown_ms: count(
      15_000,
      'time limit in ms from SIGTERM to the end of the process; running requests can finish in it',
    ),
    rate_per_minute: Type.Integer({
      minimum: 0,
      default: 6000,
      description:
        'maximum number of requests per minute of one key, or of one address where there are no keys; 0: no limit',
    }),
    jobs: Type.Object(
      {
        concurrent: count(2, 'maximum number of jobs that run at a time'),
        in_flight: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description:
            'maximum number of items of a job that are decoded or wait at a time; null: enough to keep every worker busy',
        }),
        keep_days: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description:
            'days after which a finished job is deleted with its list and results; null: never. A jump of the clock counts as at most one day',
        }),
        attempts: count(5, 'maximum number of attempts for an item whose worker is lost'),
      },
      { ...closed, default: {}, description: 'scoring jobs of /v1/jobs' },
    ),
    webhooks: Type.Object(
      {
        hosts: Type.Array(Type.String({ pattern: '^[^/@\\s]+$' }), {
          default: [],
          description: 'hosts that webhooks of jobs may be sent to, with the port where it is not 443',
        }),
        secret: Type.Union([Type.String(), Type.Null()], {
          default: null,
          description:
            'key that signs webhooks: whsec_ and 24 to 64 bytes in base64. Several keys, separated by spaces, give several signatures, so that a key can be rotated. QALIGN_SERVE_WEBHOOKS__SECRET keeps it out of the file',
        }),
        allow_loopback: Type.Boolean({
          default: false,
          description: 'allow webhooks to this machine, also by http; otherwise only to public addresses by https',
        }),
      },
      { ...closed, default: {}, description: 'signed messages at the end of a job (Standard Webhooks)' },
    ),
    traces: Type.Object(
      {
        endpoint: Type.Union([Type.String({ pattern: '^https?://' }), Type.Null()], {
          default: null,
          description:
            'URL that spans are sent to by OTLP/HTTP in JSON (http://collector:4318/v1/traces); null: no spans',
        }),
        headers: Type.Record(Type.String(), Type.String(), {
          default: {},
          description: 'headers of these requests, such as authorization',
        }),
      },
      {
        ...closed,
        default: {},
        description: 'OpenTelemetry: a span for each request and job, and for each stage of their items',
      },
    ),
    log_level: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {
      default: 'info',
      description: 'lowest level of log lines that are written; debug has every message of the bridge',
    }),
  },
  closed,
);
export type ServeConfig = Static<typeof ServeConfig>;
